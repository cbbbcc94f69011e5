// The JSON-RPC of language servers over stdio. Bytes travel as base64, since JSON has none.

import { spawn } from "node:child_process";
import {
  createMessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";

import type { Subject } from "../subject.ts";

export async function open(command: readonly string[]): Promise<Subject> {
  const [path = "", ...args] = command;
  const child = spawn(path, args, { stdio: ["pipe", "pipe", "inherit"] });
  const connection = createMessageConnection(
    new StreamMessageReader(child.stdout),
    new StreamMessageWriter(child.stdin),
  );
  connection.listen();
  return {
    transport: "stdio, JSON",
    pid: child.pid,
    get: async (key) => Uint8Array.fromBase64(await connection.sendRequest<string>("get", { key })),
    put: (key, value) => connection.sendRequest("put", { key, value: value.toBase64() }),
    echo: async (data) =>
      Uint8Array.fromBase64(
        await connection.sendRequest<string>("echo", { data: data.toBase64() }),
      ),
    async [Symbol.asyncDispose]() {
      connection.dispose();
      child.kill();
    },
  };
}
