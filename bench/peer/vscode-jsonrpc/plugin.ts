import {
  createMessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";

import { newStore } from "../store.ts";

const store = newStore();
const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);
connection.onRequest("get", async ({ key }: { key: string }) => (await store.get(key)).toBase64());
connection.onRequest("put", ({ key, value }: { key: string; value: string }) => {
  store.put(key, Uint8Array.fromBase64(value));
  return null;
});
connection.onRequest("echo", ({ data }: { data: string }) =>
  Uint8Array.fromBase64(data).toBase64(),
);
connection.listen();
