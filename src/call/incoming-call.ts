// A call that the peer placed and that this side answers.

import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import { Metadata, traceOf } from "../metadata/metadata.ts";
import type { Due } from "./deadlines.ts";
import { type CallClass, classOf } from "./limits.ts";
import type { ChildCall, ParentCall } from "./outgoing-call.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { MessageSender } from "../stream/message-sender.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";

/** Where answers go: the connection that the call came by. */
export interface Responder {
  respond<T>(call: IncomingCall, writer: PayloadWriter<T>, value: T): void;
  fail(call: IncomingCall, error: unknown): void;
  /** Takes messages of the caller. */
  messages<T>(call: IncomingCall, reader: PayloadReader<T>): MessageReceiver<T>;
  /** The handler will answer later: from now on the call can be cancelled. */
  defer(call: IncomingCall): void;
}

/**
 * The error for a result that cannot be encoded. What a handler returns is its own affair, so to
 * the caller it is `internal`; a limit that was hit stays one.
 */
export function responseFailure(call: IncomingCall, error: unknown): PlugError {
  if (isPlugError(error) && error.code !== "invalid_argument") return error;
  const why = isPlugError(error) ? error.rawMessage : textOf(error);
  return new PlugError(
    "internal",
    `the handler of ${call.service}.${call.method} returned what is not a response: ${why}`,
    { cause: error },
  );
}

/** What a handler can reach on the other side of the connection, beside its call. */
export interface Peer {
  host(service: unknown): object;
  refer(service: unknown, handler: object): object;
  resolve(service: unknown, ref: unknown): object;
}

/** Answers calls. */
export interface CallHandler {
  /**
   * Answers the call at once, or calls `call.defer()` and answers later. Must not throw.
   *
   * The request is `buffer[from, to)`, borrowed unless `owned`.
   */
  handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void;
}

/** Told what the peer says of references. Must not throw anything but a `protocol_error`. */
export interface ReferenceEvents {
  /** The peer does not refer to the object any more. */
  released(objectId: number): void;
  /** These are the methods of a service that references of the peer may be of. */
  described(service: DescribedService): void;
}

/** A service whose method ids are positions in `methods`. */
export interface DescribedService {
  readonly name: string;
  readonly version: number;
  readonly methods: readonly string[];
}

/**
 * One call in the making. Handlers get it as their context, so it has what a context needs, and
 * makes it only when it is asked for.
 */
export class IncomingCall implements Due, ParentCall {
  readonly id: number;
  /** Among all that is served; of an object, among the methods of its service. */
  readonly methodId: number;
  /** The object that it is for; 0 for a service of this side itself. */
  readonly objectId: number;
  readonly isNested: boolean;
  /** Full name of the service and name of the rpc, set by whoever looks up the method id. */
  service = "";
  method = "";
  /** The version of the service that was agreed on. */
  version = 0;
  /** Set with the names. */
  peer: Peer | undefined;
  /** 0 without a deadline. */
  deadlineAt: number;
  heapIndex = -1;
  /** Answered, or not wanted any more: what the handler still says is dropped. */
  isAnswered = false;
  /** Messages out and in, of a call that streams. */
  sender: MessageSender | undefined;
  receiver: MessageReceiver<unknown> | undefined;
  /** The caller has said that it sends no more messages, or it never sends any. */
  isSourceEnded = true;
  /** Reads the messages of the caller, once somebody wants them. */
  messageReader: PayloadReader<unknown> | undefined;
  /** `ClientStreams` and `ServerStreams`, as they came on the wire. */
  readonly streamFlags: number;
  /** What is to be sent with the answer: undefined if there is nothing. */
  sentHeaders: Metadata | undefined;
  sentTrailers: Metadata | undefined;
  /** The headers of the answer have gone out. */
  areHeadersSent = false;
  readonly responder: Responder;
  #requestHeaders: Metadata | undefined;
  #trace: Metadata | undefined;
  #controller: AbortController | undefined;
  #abortReason: PlugError | undefined;
  #children: Set<ChildCall> | undefined;

  constructor(
    responder: Responder,
    id: number,
    methodId: number,
    deadlineAt: number,
    streamFlags = 0,
    objectId = 0,
    isNested = false,
    headers?: Metadata,
  ) {
    this.responder = responder;
    this.id = id;
    this.methodId = methodId;
    this.deadlineAt = deadlineAt;
    this.streamFlags = streamFlags;
    this.objectId = objectId;
    this.isNested = isNested;
    if (headers !== undefined) {
      this.#requestHeaders = headers;
      this.#trace = traceOf(headers);
    }
  }

  /** Whose allowance it comes out of. */
  get callClass(): CallClass {
    return classOf(this.isNested, this.streamFlags);
  }

  /** `"example.KV.Get"` */
  get name(): string {
    return `${this.service}.${this.method}`;
  }

  /** As options of another call, a context says on whose behalf that is made. */
  get context(): this {
    return this;
  }

  get requestHeaders(): Metadata {
    this.#requestHeaders ??= new Metadata();
    return this.#requestHeaders;
  }

  /** An interceptor has put others in their place: calls made for this one inherit from them. */
  set requestHeaders(headers: Metadata) {
    this.#requestHeaders = headers;
    this.#trace = traceOf(headers);
  }

  /** As options of another call: trace context alone, if the request came with some. */
  get headers(): Metadata | undefined {
    return this.#trace;
  }

  get responseHeaders(): Metadata {
    this.sentHeaders ??= new Metadata();
    return this.sentHeaders;
  }

  get responseTrailers(): Metadata {
    this.sentTrailers ??= new Metadata();
    return this.sentTrailers;
  }

  /** Aborts when the caller gives the call up, its deadline passes, or the connection ends. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  get abortReason(): PlugError | undefined {
    return this.#abortReason;
  }

  adopt(child: ChildCall): void {
    this.#children ??= new Set();
    this.#children.add(child);
  }

  disown(child: ChildCall): void {
    this.#children?.delete(child);
  }

  // What these return is typed by `CallContext`: this room knows no services.

  host(service: unknown): never {
    return this.#reach().host(service) as never;
  }

  refer(service: unknown, handler: object): never {
    return this.#reach().refer(service, handler) as never;
  }

  resolve(service: unknown, ref: unknown): never {
    return this.#reach().resolve(service, ref) as never;
  }

  /** Milliseconds that are left until the deadline, at least 0; undefined without a deadline. */
  get timeoutMs(): number | undefined {
    return this.deadlineAt === 0 ? undefined : Math.max(0, this.deadlineAt - performance.now());
  }

  respond<T>(writer: PayloadWriter<T>, value: T): void {
    this.responder.respond(this, writer, value);
  }

  fail(error: unknown): void {
    this.responder.fail(this, error);
  }

  /** Makes the messages of the caller readable. They are waiting, or come later. */
  messages<T>(reader: PayloadReader<T>): MessageReceiver<T> {
    return this.responder.messages(this, reader);
  }

  defer(): void {
    this.responder.defer(this);
  }

  /** Tells the handler that nobody waits any more. The first reason stays. */
  abort(reason: PlugError): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.receiver?.fail(reason);
    this.sender?.stop(reason);
    const children = this.#children;
    this.#children = undefined;
    for (const child of children ?? []) child.parentAborted();
    this.#controller?.abort(reason);
  }

  /** The caller will cancel at this moment by its own clock; the handler need not wait for it. */
  due(): void {
    this.abort(
      new PlugError("deadline_exceeded", `${this.service}.${this.method} has passed its deadline`),
    );
  }

  #reach(): Peer {
    if (this.peer !== undefined) return this.peer;
    throw new PlugError(
      "unimplemented",
      "a host built with the Go original offers no services and takes no references",
    );
  }
}
