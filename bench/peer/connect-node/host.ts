// Connect over HTTP/2 on a Unix socket.

import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { connect } from "node:net";

import { KV } from "../../../example/gen/example_pb.ts";
import { Stream } from "../../gen/bench_pb.ts";
import { spawnListening } from "../spawn.ts";
import type { Elements, Subject } from "../subject.ts";

export async function open(command: readonly string[]): Promise<Subject> {
  const plugin = await spawnListening(command);
  const transport = createConnectTransport({
    baseUrl: "http://localhost",
    httpVersion: "2",
    nodeOptions: { createConnection: () => connect(plugin.path) },
  });
  const kv = createClient(KV, transport);
  const stream = createClient(Stream, transport);
  return {
    transport: "unix socket, HTTP/2",
    pid: plugin.pid,
    get: async (key) => (await kv.get({ key })).value,
    put: (key, value) => kv.put({ key, value }),
    echo: async (data) => (await stream.echo({ data })).data,
    stream: {
      produce: (count, elementBytes) => stream.produce({ count, elementBytes }),
      consume: async (elements) => (await stream.consume(asynchronous(elements))).count,
      exchange: (elements) => stream.exchange(asynchronous(elements)),
    },
    [Symbol.asyncDispose]: () => plugin[Symbol.asyncDispose](),
  };
}

/** Connect takes nothing else. */
async function* asynchronous(elements: Elements) {
  yield* elements;
}
