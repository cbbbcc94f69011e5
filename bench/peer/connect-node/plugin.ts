import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createServer } from "node:http2";

import { KV } from "../../../example/gen/example_pb.ts";
import { Stream } from "../../gen/bench_pb.ts";
import { sayListening } from "../spawn.ts";
import { elements, newStore } from "../store.ts";

const store = newStore();
const handler = connectNodeAdapter({
  routes(router) {
    router.service(KV, {
      get: async ({ key }) => ({ value: await store.get(key) }),
      put({ key, value }) {
        store.put(key, value);
        return {};
      },
    });
    router.service(Stream, {
      echo: ({ data }) => ({ data }),
      async *produce({ count, elementBytes }) {
        yield* elements(count, elementBytes);
      },
      async consume(messages) {
        let count = 0;
        for await (const _ of messages) count += 1;
        return { count };
      },
      async *exchange(messages) {
        yield* messages;
      },
    });
  },
});
createServer(handler).listen(process.argv.at(-1), sayListening);
