// bun-plug's host, which speaks the Go original's protocol to a plugin that was built with it.

import { pluginOf } from "bun-plug";

import { loadKV } from "../../../example/gen/example_plug.ts";
import { smallKey, smallValue } from "../store.ts";
import type { Subject } from "../subject.ts";

export async function open([path = ""]: readonly string[]): Promise<Subject> {
  const kv = await loadKV(path, { logger: false });
  // The original's plugin is its own example, which starts with nothing in it.
  await kv.put(smallKey, smallValue());
  const handle = pluginOf(kv);
  return {
    transport: handle.stats().transport,
    pid: handle.pid,
    get: (key) => kv.get(key),
    put: (key, value) => kv.put(key, value),
    echo: () => Promise.reject(new Error("its plugin has no Echo")),
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  };
}
