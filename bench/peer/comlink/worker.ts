import { expose } from "comlink";

import { newStore } from "../store.ts";

const store = newStore();
const api = {
  get: (key: string) => store.get(key),
  put: (key: string, value: Uint8Array) => store.put(key, value),
  echo: (data: Uint8Array) => data,
};
export type Api = typeof api;

expose(api);
