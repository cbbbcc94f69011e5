// Ties the methods of a service to where their calls go: what a generated client calls through.

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

import type { ClientConnection, OpenedStream } from "../call/client-connection.ts";
import type { Route } from "../call/outgoing-call.ts";
import type { MessageCodec } from "../codec/message-codec.ts";
import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { MessageSender } from "../stream/message-sender.ts";
import { emptyWriter, type PayloadReader, type PayloadWriter } from "../stream/payload.ts";
import { type MessageSource, pump } from "../stream/pump.ts";
import { Metadata } from "../metadata/metadata.ts";
import type { CallOptions } from "./call-options.ts";
import {
  intercept,
  interceptedRequest,
  type InterceptedResponse,
  type Interceptor,
} from "./interceptor.ts";
import type {
  BidiStreamingMethod,
  Caller,
  ClientStreamingMethod,
  Method,
  ServerStreamingMethod,
  Service,
  UnaryMethod,
} from "./service.ts";
import { streamFlags } from "./stream-flags.ts";

/** The methods that the peer has, by name: what it calls them on the wire. */
export type MethodIds = ReadonlyMap<string, number>;

interface Binding {
  /** Undefined if the peer does not have the method. */
  readonly route: Route | undefined;
  readonly reader: PayloadReader<unknown>;
}

/** Where the calls of a client go. The connection may be replaced by a reason why there is none. */
export interface CallTarget {
  /**
   * @param isNested it is for a call that a handler makes on behalf of another.
   * @throws {PlugError} why no call can be placed any more.
   */
  connection(isNested: boolean): ClientConnection;
  close(): Promise<void>;
}

export interface BindOptions {
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** The object of the other side that is called; 0 for a service of the other side itself. */
  readonly objectId?: number | undefined;
  /** For error texts. @defaultValue `"the plugin"` */
  readonly peerName?: string | undefined;
}

/** A caller for the client of one service. */
export function bindService<C extends object, H extends object>(
  service: Service<C, H>,
  methodIds: MethodIds,
  target: CallTarget,
  options: BindOptions = {},
): Caller {
  return new BoundService(service, methodIds, target, options);
}

class BoundService implements Caller {
  readonly #service: string;
  readonly #target: CallTarget;
  readonly #bindings: ReadonlyMap<Method<never>, Binding>;
  readonly #interceptors: readonly Interceptor[];
  readonly #peerName: string;

  constructor(
    service: Service<object, never>,
    methodIds: MethodIds,
    target: CallTarget,
    { interceptors = [], objectId = 0, peerName = "the plugin" }: BindOptions,
  ) {
    const { typeName, methods } = service;
    this.#service = typeName;
    this.#target = target;
    this.#interceptors = interceptors;
    this.#peerName = peerName;
    this.#bindings = new Map(
      methods.map((method) => [
        method,
        bind(typeName, method, methodIds.get(method.name), objectId),
      ]),
    );
  }

  unary<I extends DescMessage, O extends DescMessage, A, R>(
    method: UnaryMethod<never, I, O, A, R>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<R> {
    try {
      const { route, reader } = this.#binding(method);
      const value = message(method.input, request);
      if (this.#interceptors.length > 0)
        return this.#interceptedUnary(method, route, value, options);
      return this.#target
        .connection(isNested(options))
        .call(route, method.input, value, reader as PayloadReader<R>, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  serverStreaming<I extends DescMessage, O extends DescMessage>(
    method: ServerStreamingMethod<never, I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    return iterableOnce(() => {
      const value = message(method.input, request);
      if (this.#interceptors.length > 0) return this.#interceptedMessages(method, value, options);
      return this.#openMessages(method, method.input, value, options);
    });
  }

  async clientStreaming<I extends DescMessage, O extends DescMessage, A, R>(
    method: ClientStreamingMethod<never, I, O, A, R>,
    messages: MessageSource<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<R> {
    const reader = this.#binding(method).reader as PayloadReader<R>;
    if (this.#interceptors.length > 0) {
      const source = messagesOf(method.input, messages);
      const response = await this.#intercepted(method, source, options, async (passed, terms) => {
        const stream = this.#open(method, emptyWriter, undefined, method.output, terms);
        void this.#send(method, stream, passed as MessageSource<MessageInitShape<I>>);
        return stream.response;
      });
      return method.unpack(response.message as MessageShape<O>);
    }
    const stream = this.#open(method, emptyWriter, undefined, reader, options);
    void this.#send(method, stream, messages);
    return stream.response;
  }

  bidiStreaming<I extends DescMessage, O extends DescMessage>(
    method: BidiStreamingMethod<never, I, O>,
    messages: MessageSource<MessageInitShape<I>>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    return iterableOnce(() => {
      if (this.#interceptors.length > 0) {
        return this.#interceptedMessages(method, messagesOf(method.input, messages), options);
      }
      return this.#openBidi(method, messages, options);
    });
  }

  close(): Promise<void> {
    return this.#target.close();
  }

  #openMessages<T, O extends DescMessage>(
    method: Method<never>,
    writer: PayloadWriter<T>,
    value: T,
    options: CallOptions | undefined,
  ): MessageReceiver<MessageShape<O>> {
    const stream = this.#open(method, writer, value, emptyReader, options);
    return stream.receiver as MessageReceiver<MessageShape<O>>;
  }

  #openBidi<I extends DescMessage, O extends DescMessage>(
    method: BidiStreamingMethod<never, I, O>,
    messages: MessageSource<MessageInitShape<I>>,
    options: CallOptions | undefined,
  ): MessageReceiver<MessageShape<O>> {
    const stream = this.#open(method, emptyWriter, undefined, emptyReader, options);
    void this.#send(method, stream, messages);
    return stream.receiver as MessageReceiver<MessageShape<O>>;
  }

  async #interceptedUnary<O extends DescMessage, R>(
    method: UnaryMethod<never, any, O, any, R>,
    route: Route,
    value: unknown,
    options: CallOptions | undefined,
  ): Promise<R> {
    const response = await this.#intercepted(method, value, options, (passed, terms) =>
      this.#target
        .connection(isNested(options))
        .call(route, method.input, passed, method.output, terms),
    );
    return method.unpack(response.message as MessageShape<O>);
  }

  async *#interceptedMessages<O extends DescMessage>(
    method: ServerStreamingMethod<never, any, O> | BidiStreamingMethod<never, any, O>,
    value: unknown,
    options: CallOptions | undefined,
  ): AsyncGenerator<MessageShape<O>, undefined, undefined> {
    const { message } = await this.#intercepted(method, value, options, async (passed, terms) =>
      method.kind === "server_streaming"
        ? this.#openMessages(method, method.input, passed, terms)
        : this.#openBidi(method, passed as AsyncIterable<never>, terms),
    );
    yield* message as AsyncIterable<MessageShape<O>>;
    return undefined;
  }

  // `place` places the call with what the interceptors have let through.
  #intercepted(
    method: Method<never>,
    message: unknown,
    options: CallOptions = {},
    place: (message: unknown, terms: CallOptions) => Promise<unknown>,
  ): Promise<InterceptedResponse> {
    const isContext = (options.context as unknown) === options;
    const headers = new Metadata(options.headers);
    const request = interceptedRequest(method, this.#service, headers, options, message);
    return intercept(this.#interceptors, request, async (passed) => {
      const response = { headers: new Metadata(), trailers: new Metadata() };
      const terms: CallOptions = {
        context: options.context,
        // A context tells by itself when it ends.
        signal: isContext ? undefined : options.signal,
        timeoutMs: isContext ? undefined : options.timeoutMs,
        headers: passed.headers,
        onHeader: (told) => {
          for (const [name, value] of told) response.headers.append(name, value);
          options.onHeader?.(told);
        },
        onTrailer: (told) => {
          for (const [name, value] of told) response.trailers.append(name, value);
          options.onTrailer?.(told);
        },
      };
      const answer = await place(passed.message, terms);
      return { ...response, message: answer } as InterceptedResponse;
    });
  }

  #open<T, R>(
    method: Method<never>,
    writer: PayloadWriter<T>,
    value: T,
    reader: PayloadReader<R>,
    options: CallOptions | undefined,
  ): OpenedStream<R, unknown> {
    const { route } = this.#binding(method);
    const flags = streamFlags[method.kind];
    return this.#target
      .connection(isNested(options))
      .openStream<T, R, unknown>(route, flags, writer, value, reader, method.output, options);
  }

  async #send<I extends DescMessage>(
    method: {
      readonly input: MessageCodec<MessageShape<I>, MessageInitShape<I>>;
      readonly name: string;
    },
    stream: OpenedStream<unknown, unknown>,
    messages: MessageSource<MessageInitShape<I>>,
  ): Promise<void> {
    const sender = stream.sender as MessageSender;
    try {
      await pump(messages, sender, (init) =>
        sender.send(method.input, message(method.input, init)),
      );
      sender.end();
    } catch (error) {
      stream.abandon(
        isPlugError(error)
          ? error
          : new PlugError(
              "cancelled",
              `the messages for ${this.#service}.${method.name} broke off: ${textOf(error)}`,
              { cause: error },
            ),
      );
    }
  }

  #binding(method: Method<never>): Binding & { readonly route: Route } {
    const binding = this.#bindings.get(method);
    if (binding?.route === undefined) {
      throw new PlugError(
        "unimplemented",
        `${this.#peerName} does not have ${this.#service}.${method.name}`,
      );
    }
    return binding as Binding & { readonly route: Route };
  }
}

function isNested(options: CallOptions | undefined): boolean {
  return options?.context !== undefined;
}

// Messages of what users pass, for interceptors.
async function* messagesOf<T, Init>(
  codec: MessageCodec<T, Init>,
  source: MessageSource<Init>,
): AsyncGenerator<T, undefined, undefined> {
  for await (const init of source) yield message(codec, init);
  return undefined;
}

// For responses that have nothing in them.
const emptyReader: PayloadReader<undefined> = { read: () => undefined };

// So that a call that nobody iterates is never placed, and takes no place.
function iterableOnce<T>(
  start: () => AsyncIterableIterator<T, undefined, undefined>,
): AsyncIterable<T> {
  let isStarted = false;
  return {
    [Symbol.asyncIterator]() {
      if (isStarted) throw new PlugError("failed_precondition", "a stream can be iterated once");
      isStarted = true;
      try {
        return start();
      } catch (error) {
        return failed<T>(error);
      }
    },
  };
}

// What goes wrong is said by the first step, as it would be later.
async function* failed<T>(error: unknown): AsyncGenerator<T, undefined, undefined> {
  throw error;
}

function bind(
  service: string,
  method: Method<never>,
  methodId: number | undefined,
  objectId: number,
): Binding {
  const { output } = method;
  const route =
    methodId === undefined ? undefined : { methodId, service, method: method.name, objectId };
  if (method.kind === "server_streaming" || method.kind === "bidi_streaming") {
    return { route, reader: emptyReader };
  }
  const { unpack } = method;
  return {
    route,
    reader: {
      read: (buffer, from, to, owned) => unpack(output.read(buffer, from, to, owned)),
    },
  };
}

/** A message from what a user passed. @throws {PlugError} `invalid_argument`: it cannot be one. */
export function message<T, Init>(
  codec: { readonly typeName: string; from(init: Init): T },
  init: Init,
): T {
  try {
    return codec.from(init);
  } catch (error) {
    if (isPlugError(error)) throw error;
    throw new PlugError("invalid_argument", `cannot make a ${codec.typeName}: ${textOf(error)}`, {
      cause: error,
    });
  }
}
