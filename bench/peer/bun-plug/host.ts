// bun-plug itself. The variant is the transport.

import { loadPlugin, pluginOf } from "bun-plug";

import { KV } from "../../../example/gen/example_plug.ts";
import { Stream } from "../../gen/bench_plug.ts";
import { newStore } from "../store.ts";
import type { Subject } from "../subject.ts";

export async function open(command: readonly string[], variant: string): Promise<Subject> {
  const [path = "", ...args] = command;
  const plugin = await loadPlugin(
    path,
    { kv: KV, stream: Stream },
    {
      args,
      logger: false,
      // For the calls that the plugin makes while it answers one.
      offer: [[KV, newStore()]],
      // How profile.ts has the plugin profiled.
      env: { BUN_OPTIONS: process.env["BENCH_PLUGIN_BUN_OPTIONS"] },
      // Larger than any case sends.
      maxMessageBytes: 256 * 1024 * 1024,
      ...(variant === "" ? {} : { transport: variant as "socket" | "stdio" }),
    },
  );
  const { kv, stream } = plugin;
  const handle = pluginOf(plugin);
  return {
    transport: handle.stats().transport,
    pid: handle.pid,
    get: (key) => kv.get(key),
    put: (key, value) => kv.put(key, value),
    echo: (data) => stream.echo(data),
    stream,
    own: {
      getWith: (key, options) => kv.get(key, options),
      callBack: () => stream.callBack(new Uint8Array(1)),
      sip: (elements, signal) => stream.sip(elements, { signal }),
    },
    [Symbol.asyncDispose]: () => plugin[Symbol.asyncDispose](),
  };
}
