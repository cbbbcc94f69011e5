// A caller without a runtime: does with a call what the two sides do between them, in one process.
//
// Everything that a service table holds is used on the way: codecs, `handle`, `pack` and `unpack`,
// and the method is found by its name and its kind.

import type { CallContext, Caller, CallOptions, MessageSource, Service } from "bun-plug/codegen-v1";

interface Codec<T, Init> {
  from(init: Init): T;
  size(message: T): number;
  write(message: T, buffer: Uint8Array, at: number): number;
  read(buffer: Uint8Array, from: number, to: number, owned: boolean): T;
}

/** A client of the service whose calls end in the handler, over bytes and back. */
export function connect<C extends object, H extends object>(
  service: Service<C, H>,
  handler: H,
): C & AsyncDisposable {
  const caller: Caller = {
    async unary(called, request, options) {
      const method = methodOf("unary", called.name);
      const context = contextOf(service.typeName, called.name, options);
      const result = await method.handle(handler, overBytes(called.input, request), context);
      return called.unpack(overBytes(called.output, method.pack(result)));
    },
    async *serverStreaming(called, request, options) {
      const method = methodOf("server_streaming", called.name);
      const context = contextOf(service.typeName, called.name, options);
      yield* eachOverBytes(
        called.output,
        method.handle(handler, overBytes(called.input, request), context),
      );
    },
    async clientStreaming(called, messages, options) {
      const method = methodOf("client_streaming", called.name);
      const context = contextOf(service.typeName, called.name, options);
      const result = await method.handle(handler, eachOverBytes(called.input, messages), context);
      return called.unpack(overBytes(called.output, method.pack(result)));
    },
    async *bidiStreaming(called, messages, options) {
      const method = methodOf("bidi_streaming", called.name);
      const context = contextOf(service.typeName, called.name, options);
      yield* eachOverBytes(
        called.output,
        method.handle(handler, eachOverBytes(called.input, messages), context),
      );
    },
    async close() {},
  };
  return new service.client(caller);

  function methodOf<K extends Service<C, H>["methods"][number]["kind"]>(kind: K, name: string) {
    const method = service.methods.find((candidate) => candidate.name === name);
    if (method?.kind !== kind) throw new Error(`${service.typeName} has no ${kind} ${name}`);
    return method as Extract<Service<C, H>["methods"][number], { readonly kind: K }>;
  }
}

async function* eachOverBytes<T, Init>(
  codec: Codec<T, Init>,
  messages: MessageSource<Init>,
): AsyncGenerator<T> {
  for await (const init of messages) yield overBytes(codec, init);
}

function overBytes<T, Init>(codec: Codec<T, Init>, init: Init): T {
  const message = codec.from(init);
  const size = codec.size(message);
  // Some bytes before and behind, so that offsets matter.
  const buffer = new Uint8Array(size + 5).fill(0xff);
  if (codec.write(message, buffer, 3) !== size + 3) throw new Error("wrote another size");
  return codec.read(buffer, 3, size + 3, false);
}

function contextOf(service: string, method: string, options: CallOptions = {}): CallContext {
  const { signal = new AbortController().signal, timeoutMs } = options;
  // What handlers of golden files look at.
  return { signal, timeoutMs, service, method } as CallContext;
}
