// Ties the methods of a service to where their calls go: what a generated client calls through.

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

import type { CallPlacer, OpenedStream } from "../call/client-connection.ts";
import { type ParentCall, parentOf, type Route } from "../call/outgoing-call.ts";
import type { MessageCodec } from "../codec/message-codec.ts";
import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { MessageSender } from "../stream/message-sender.ts";
import { emptyWriter, type PayloadReader, type PayloadWriter } from "../stream/payload.ts";
import { type MessageSource, pump } from "../stream/pump.ts";
import type { CallOptions } from "./call-options.ts";
import { InterceptedService } from "./intercepted-service.ts";
import type { Interceptor } from "./interceptor.ts";
import { iterableOnce, message } from "./messages.ts";
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

export interface Binding {
  /** Undefined if the peer does not have the method. */
  readonly route: Route | undefined;
  readonly reader: PayloadReader<unknown>;
}

/** Where the calls of a client go. The connection may be replaced by a reason why there is none. */
export interface CallTarget {
  /**
   * @param parent the call that the one to be placed is made for, if there is one.
   * @throws {PlugError} why no call can be placed any more.
   */
  connection(parent: ParentCall | undefined): CallPlacer;
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
  const { interceptors = [] } = options;
  const bound = new BoundService(service, methodIds, target, options, interceptors.length > 0);
  if (interceptors.length === 0) return bound;
  return new InterceptedService(service.typeName, bound, interceptors);
}

class BoundService implements Caller {
  readonly #service: string;
  readonly #target: CallTarget;
  readonly #bindings: ReadonlyMap<Method<never>, Binding>;
  readonly #peerName: string;

  constructor(
    service: Service<object, never>,
    methodIds: MethodIds,
    target: CallTarget,
    { objectId = 0, peerName = "the plugin" }: BindOptions,
    givesMessages: boolean,
  ) {
    const { typeName, methods } = service;
    this.#service = typeName;
    this.#target = target;
    this.#peerName = peerName;
    this.#bindings = new Map(
      methods.map((method) => [
        method,
        bind(typeName, method, methodIds.get(method.name), objectId, givesMessages),
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
      return this.#target
        .connection(parentIn(options))
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
      const stream = this.#open(method, method.input, value, emptyReader, options);
      return stream.receiver as MessageReceiver<MessageShape<O>>;
    });
  }

  async clientStreaming<I extends DescMessage, O extends DescMessage, A, R>(
    method: ClientStreamingMethod<never, I, O, A, R>,
    messages: MessageSource<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<R> {
    const reader = this.#binding(method).reader as PayloadReader<R>;
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
      const stream = this.#open(method, emptyWriter, undefined, emptyReader, options);
      void this.#send(method, stream, messages);
      return stream.receiver as MessageReceiver<MessageShape<O>>;
    });
  }

  close(): Promise<void> {
    return this.#target.close();
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
      .connection(parentIn(options))
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

function parentIn(options: CallOptions | undefined): ParentCall | undefined {
  return options === undefined ? undefined : parentOf(options);
}

// For responses that have nothing in them.
const emptyReader: PayloadReader<undefined> = { read: () => undefined };

/** How one method is called. */
export function bind(
  service: string,
  method: Method<never>,
  methodId: number | undefined,
  objectId: number,
  givesMessages: boolean,
): Binding {
  const { output } = method;
  const route =
    methodId === undefined ? undefined : { methodId, service, method: method.name, objectId };
  if (method.kind === "server_streaming" || method.kind === "bidi_streaming") {
    return { route, reader: emptyReader };
  }
  // Interceptors see responses whole.
  if (givesMessages) return { route, reader: output };
  const { unpack } = method;
  return {
    route,
    reader: {
      read: (buffer, from, to, owned) => unpack(output.read(buffer, from, to, owned)),
    },
  };
}
