// gRPC for Node over HTTP/2 on a Unix socket, with services loaded as its own guide does it.

import { type Client, credentials, type ServiceClientConstructor } from "@grpc/grpc-js";

import { spawnListening } from "../spawn.ts";
import type { StreamSubject, Subject } from "../subject.ts";
import {
  channelOptions,
  type Element,
  protoFolders,
  services,
  type Writable,
  writeAll,
} from "./services.ts";

type Done<T> = (error: Error | null, response: T) => void;

interface KVClient extends Client {
  get(request: { key: string }, done: Done<{ value: Uint8Array }>): void;
  put(request: { key: string; value: Uint8Array }, done: Done<object>): void;
}

interface StreamClient extends Client {
  echo(request: Element, done: Done<Element>): void;
  produce(request: { count: number; elementBytes: number }): AsyncIterable<Element>;
  consume(done: Done<{ count: number }>): Writable;
  exchange(): Writable & AsyncIterable<Element>;
}

export async function open(command: readonly string[]): Promise<Subject> {
  const plugin = await spawnListening(command, ...protoFolders);
  const { KV, Stream } = services(protoFolders);
  const newClient = <C>(type: ServiceClientConstructor): C =>
    new type(`unix:${plugin.path}`, credentials.createInsecure(), channelOptions) as unknown as C;
  const kv = newClient<KVClient>(KV);
  const stream = newClient<StreamClient>(Stream);
  return {
    transport: "unix socket, HTTP/2",
    pid: plugin.pid,
    get: async (key) =>
      (await answer<{ value: Uint8Array }>((done) => kv.get({ key }, done))).value,
    put: (key, value) => answer((done) => kv.put({ key, value }, done)),
    echo: async (data) => (await answer<Element>((done) => stream.echo({ data }, done))).data,
    stream: streams(stream),
    async [Symbol.asyncDispose]() {
      kv.close();
      stream.close();
      await plugin[Symbol.asyncDispose]();
    },
  };
}

function streams(client: StreamClient): StreamSubject {
  return {
    produce: (count, elementBytes) => client.produce({ count, elementBytes }),
    async consume(elements) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const call = client.consume((error, response) =>
        error === null ? resolve(response.count) : reject(error),
      );
      await writeAll(call, elements);
      return await promise;
    },
    exchange(elements) {
      const call = client.exchange();
      void writeAll(call, elements);
      return call;
    },
  };
}

function answer<T>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error === null ? resolve(response) : reject(error)));
  });
}
