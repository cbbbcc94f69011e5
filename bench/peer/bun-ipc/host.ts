// The channel of `Bun.spawn`, with ids by hand: what one would write without a library.

import type { Subject } from "../subject.ts";

/** What goes to the plugin; it answers with the same id. */
export interface Request {
  readonly id: number;
  readonly method: "get" | "put" | "echo";
  readonly key: string;
  readonly value?: Uint8Array;
}

export interface Response {
  readonly id: number;
  readonly value: Uint8Array | undefined;
}

export async function open(command: readonly string[]): Promise<Subject> {
  const waiting = new Map<number, (value: Uint8Array) => void>();
  let lastId = 0;
  const child = Bun.spawn([...command], {
    stdio: ["ignore", "inherit", "inherit"],
    serialization: "advanced",
    ipc({ id, value }: Response) {
      const resolve = waiting.get(id);
      waiting.delete(id);
      resolve?.(value as Uint8Array);
    },
  });
  const call = (method: Request["method"], key: string, value?: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve) => {
      const id = ++lastId;
      waiting.set(id, resolve);
      child.send({ id, method, key, ...(value === undefined ? {} : { value }) } satisfies Request);
    });
  return {
    transport: "ipc",
    pid: child.pid,
    get: (key) => call("get", key),
    put: (key, value) => call("put", key, value),
    echo: (data) => call("echo", "", data),
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}
