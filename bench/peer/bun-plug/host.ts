// bun-plug itself. The variant is the transport, and may have ", no polling" behind it.

import { loadPlugin, pluginOf } from "bun-plug";

import { KV } from "../../../example/gen/example_plug.ts";
import { Stream } from "../../gen/bench_plug.ts";
import { newStore } from "../store.ts";
import type { Subject } from "../subject.ts";

interface BlockingCalls {
  readonly sync?: { readonly kv: { get(key: string): Uint8Array } };
}

export async function open(command: readonly string[], variant: string): Promise<Subject> {
  const [path = "", ...args] = command;
  const [transport = "", how] = variant.split(", ");
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
      ...(transport === "" ? {} : { transport: transport as "socket" | "stdio" }),
      poll: how !== "no polling",
    },
  );
  const { kv, stream } = plugin;
  const handle = pluginOf(plugin);
  const { sync }: BlockingCalls = handle as BlockingCalls;
  return {
    transport: handle.stats().transport,
    pid: handle.pid,
    get: (key) => kv.get(key),
    put: (key, value) => kv.put(key, value),
    echo: (data) => stream.echo(data),
    stream,
    own: {
      getSync: sync === undefined ? undefined : (key) => sync.kv.get(key),
      getWith: (key, options) => kv.get(key, options),
      callBack: () => stream.callBack(new Uint8Array(1)),
      sip: (elements, signal) => stream.sip(elements, { signal }),
    },
    [Symbol.asyncDispose]: () => plugin[Symbol.asyncDispose](),
  };
}
