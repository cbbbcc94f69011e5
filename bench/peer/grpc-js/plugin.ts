import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";

import { sayListening } from "../spawn.ts";
import { elements, newStore } from "../store.ts";
import { channelOptions, type Element, services, writeAll } from "./services.ts";

const [path, ...protoFolders] = process.argv.slice(2);
const { KV, Stream } = services(protoFolders);
const store = newStore();
const server = new Server(channelOptions);

server.addService(KV.service, {
  async get(
    { request }: ServerUnaryCall<{ key: string }, { value: Uint8Array }>,
    done: sendUnaryData<{ value: Uint8Array }>,
  ) {
    done(null, { value: await store.get(request.key) });
  },
  put(
    { request }: ServerUnaryCall<{ key: string; value: Uint8Array }, object>,
    done: sendUnaryData<object>,
  ) {
    store.put(request.key, request.value);
    done(null, {});
  },
});
server.addService(Stream.service, {
  echo({ request }: ServerUnaryCall<Element, Element>, done: sendUnaryData<Element>) {
    done(null, request);
  },
  produce(call: ServerWritableStream<{ count: number; elementBytes: number }, Element>) {
    const { count, elementBytes } = call.request;
    void writeAll(call, elements(count, elementBytes));
  },
  async consume(
    call: ServerReadableStream<Element, { count: number }>,
    done: sendUnaryData<{ count: number }>,
  ) {
    let count = 0;
    for await (const _ of call) count += 1;
    done(null, { count });
  },
  exchange(call: ServerDuplexStream<Element, Element>) {
    // Not by iterating over it, which would end its sending half too.
    call.on("data", (element: Element) => {
      if (call.write(element)) return;
      call.pause();
      call.once("drain", () => call.resume());
    });
    call.on("end", () => call.end());
  },
});
server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  sayListening();
});
