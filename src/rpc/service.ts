// What generated code says about a service, as literal tables that need no reflection.
//
// Used by both sides. Knows nothing of frames, connections or processes.

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

import type { MessageSource } from "../stream/pump.ts";
import type { MessageCodec } from "../codec/message-codec.ts";
import type { CallContext, CallOptions } from "./call-options.ts";

/**
 * One rpc that takes one message and gives one.
 *
 * `H` is the handler interface, `I` and `O` are the messages' schemas, `A` is what a handler
 * returns and `R` is what a caller gets, both unwrapped.
 */
export interface UnaryMethod<H, I extends DescMessage, O extends DescMessage, A, R> {
  readonly kind: "unary";
  /** As in the `.proto`; wire 2 finds methods by it. */
  readonly name: string;
  /** As in the handler and the client. */
  readonly localName: string;
  readonly input: MessageCodec<MessageShape<I>, MessageInitShape<I>>;
  readonly output: MessageCodec<MessageShape<O>, MessageInitShape<O>>;
  /** Calls the handler's method with the request's members as arguments. */
  readonly handle: (handler: H, request: MessageShape<I>, context: CallContext) => A | Promise<A>;
  /** What the handler returned, as a response. */
  readonly pack: (result: A) => MessageInitShape<O>;
  /** A response, as what the caller gets. */
  readonly unpack: (response: MessageShape<O>) => R;
}

/** One rpc that takes one message and gives a stream of them. */
export interface ServerStreamingMethod<H, I extends DescMessage, O extends DescMessage> {
  readonly kind: "server_streaming";
  readonly name: string;
  readonly localName: string;
  readonly input: MessageCodec<MessageShape<I>, MessageInitShape<I>>;
  readonly output: MessageCodec<MessageShape<O>, MessageInitShape<O>>;
  /** Calls the handler's method with the request's members as arguments. */
  readonly handle: (
    handler: H,
    request: MessageShape<I>,
    context: CallContext,
  ) => MessageSource<MessageInitShape<O>>;
}

/** One rpc that takes a stream of messages and gives one. `A` and `R` as in {@link UnaryMethod}. */
export interface ClientStreamingMethod<H, I extends DescMessage, O extends DescMessage, A, R> {
  readonly kind: "client_streaming";
  readonly name: string;
  readonly localName: string;
  readonly input: MessageCodec<MessageShape<I>, MessageInitShape<I>>;
  readonly output: MessageCodec<MessageShape<O>, MessageInitShape<O>>;
  readonly handle: (
    handler: H,
    messages: AsyncIterable<MessageShape<I>>,
    context: CallContext,
  ) => A | Promise<A>;
  readonly pack: (result: A) => MessageInitShape<O>;
  readonly unpack: (response: MessageShape<O>) => R;
}

/** One rpc that takes a stream of messages and gives a stream of them. */
export interface BidiStreamingMethod<H, I extends DescMessage, O extends DescMessage> {
  readonly kind: "bidi_streaming";
  readonly name: string;
  readonly localName: string;
  readonly input: MessageCodec<MessageShape<I>, MessageInitShape<I>>;
  readonly output: MessageCodec<MessageShape<O>, MessageInitShape<O>>;
  readonly handle: (
    handler: H,
    messages: AsyncIterable<MessageShape<I>>,
    context: CallContext,
  ) => MessageSource<MessageInitShape<O>>;
}

/** Any method of a handler `H`: what tables and the runtime hold. */
// Each method of a table has message types of its own, and the runtime never looks inside one.
export type Method<H> =
  | UnaryMethod<H, any, any, any, any>
  | ServerStreamingMethod<H, any, any>
  | ClientStreamingMethod<H, any, any, any, any>
  | BidiStreamingMethod<H, any, any>;

/**
 * A service of a `.proto` file: `C` is the interface for callers, `H` that for handlers.
 */
export interface Service<C extends object, H extends object> {
  /** The full name, such as `"example.KV"`; wire 2 finds services by it. */
  readonly typeName: string;
  /** The position in its `.proto` file, from 0; wire 1 finds services by it. */
  readonly index: number;
  /** `option (plugpb.magic)`. @defaultValue `"magic"` */
  readonly magic: string;
  /** `option (plugpb.version)`. @defaultValue 1 */
  readonly version: number;
  /** In the order of the `.proto` file, which is what wire 1 goes by. */
  readonly methods: readonly Method<H>[];
  /** Makes the object that callers use. */
  readonly client: new (caller: Caller) => C & AsyncDisposable;
}

/** Places calls; what a generated client needs and all that it knows. */
export interface Caller {
  /** Never throws: what goes wrong is a rejection. */
  unary<I extends DescMessage, O extends DescMessage, A, R>(
    method: UnaryMethod<never, I, O, A, R>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<R>;
  /** The call is placed when the result is iterated, which can be done once. */
  serverStreaming<I extends DescMessage, O extends DescMessage>(
    method: ServerStreamingMethod<never, I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>>;
  /** Never throws: what goes wrong is a rejection. */
  clientStreaming<I extends DescMessage, O extends DescMessage, A, R>(
    method: ClientStreamingMethod<never, I, O, A, R>,
    messages: MessageSource<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<R>;
  /** The call is placed when the result is iterated, which can be done once. */
  bidiStreaming<I extends DescMessage, O extends DescMessage>(
    method: BidiStreamingMethod<never, I, O>,
    messages: MessageSource<MessageInitShape<I>>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>>;
  /** Closes the plugin that the client belongs to. */
  close(): Promise<void>;
}
