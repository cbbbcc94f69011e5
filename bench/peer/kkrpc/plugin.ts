import { NodeIo, RPCChannel } from "kkrpc";

import { newStore } from "../store.ts";

const store = newStore();
const api = {
  get: async (key: string): Promise<Uint8Array> => await store.get(key),
  put: async (key: string, value: Uint8Array): Promise<void> => store.put(key, value),
  echo: async (data: Uint8Array): Promise<Uint8Array> => data,
};
export type Api = typeof api;

new RPCChannel(new NodeIo(process.stdin, process.stdout), { expose: api });
