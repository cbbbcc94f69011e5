// The plugin that all cases of bun-plug load.

import { runPlugin } from "bun-plug/plugin";

import { KV } from "../../../example/gen/example_plug.ts";
import { Stream, type StreamHandler } from "../../gen/bench_plug.ts";
import { elements, newStore, smallKey } from "../store.ts";

const stream: StreamHandler = {
  echo: (data) => data,
  callBack: (_data, context) => context.host(KV).get(smallKey, context),
  produce: (count, elementBytes) => elements(count, elementBytes),
  async consume(messages) {
    let count = 0;
    for await (const _ of messages) count += 1;
    return count;
  },
  exchange: (messages) => messages,
  async sip(messages) {
    let count = 0;
    for await (const _ of messages) {
      count += 1;
      await Bun.sleep(1_000);
    }
    return count;
  },
};

// Larger than any case sends.
await runPlugin([KV, newStore()], [Stream, stream], { maxMessageBytes: 256 * 1024 * 1024 });
