// A worker with comlink: another thread, and not another process. What it saves is the border that
// a plugin needs; what it cannot do is crash alone.

import { wrap } from "comlink";

import type { Subject } from "../subject.ts";
import type { Api } from "./worker.ts";

export async function open(): Promise<Subject> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url));
  const api = wrap<Api>(worker);
  return {
    transport: "worker",
    pid: undefined,
    get: (key) => api.get(key),
    put: (key, value) => api.put(key, value),
    echo: (data) => api.echo(data),
    async [Symbol.asyncDispose]() {
      worker.terminate();
    },
  };
}
