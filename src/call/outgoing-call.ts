// A call that this side placed and that has not been settled yet.

import { PlugError } from "../error/plug-error.ts";
import { Metadata, type MetadataInit } from "../metadata/metadata.ts";
import type { Due } from "./deadlines.ts";
import { type CallClass, classOf } from "./limits.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { MessageSender } from "../stream/message-sender.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";

/** Where a call goes. */
export interface Route {
  /** As the callee gave it out. */
  readonly methodId: number;
  /** The service's full name. */
  readonly service: string;
  /** The rpc's name. */
  readonly method: string;
  /** The object of the callee that it is for; 0 for a service of the plugin or host itself. */
  readonly objectId: number;
}

/** What a connection needs of the options of a call. */
export interface CallTerms {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  readonly headers?: MetadataInit | undefined;
  readonly onHeader?: ((headers: Metadata) => void) | undefined;
  readonly onTrailer?: ((trailers: Metadata) => void) | undefined;
  /** The call on whose behalf this one is made. */
  readonly context?: object | undefined;
}

/** A call that others are made for: they end with it. */
export interface ParentCall {
  /** Where it is answered: which connection it came by. */
  readonly responder: object;
  /** 0 without a deadline. */
  readonly deadlineAt: number;
  readonly abortReason: PlugError | undefined;
  /** Trace context, if it came with some. */
  readonly headers: Metadata | undefined;
  adopt(child: ChildCall): void;
  disown(child: ChildCall): void;
}

export interface ChildCall {
  parentAborted(): void;
}

/** What `terms.context` says, unless it is of another copy of this package. */
export function parentOf(terms: CallTerms): ParentCall | undefined {
  const parent = terms.context as Partial<ParentCall> | undefined;
  return typeof parent?.adopt === "function" ? (parent as ParentCall) : undefined;
}

/** Told when a call is given up before it was answered. */
export interface CallOwner {
  /** Whether a call came by the connection that this one goes by. */
  owns(parent: ParentCall): boolean;
  abandon(call: OutgoingCall, error: PlugError): void;
  /** The call has been settled, by whatever. */
  settled(): void;
}

/**
 * One call in flight, or waiting for its turn. It settles once: whatever comes first.
 *
 * It is its own abort listener and its own entry in the deadlines, so that a call with both costs
 * no closure.
 */
export class OutgoingCall implements Due, ChildCall {
  readonly route: Route;
  readonly writer: PayloadWriter<unknown>;
  readonly reader: PayloadReader<unknown>;
  /** The request, until it is encoded. */
  value: unknown;
  /** 0 while the call waits for its turn. */
  id = 0;
  isSettled = false;
  /** The peer has been told that the answer is not wanted. */
  isCancelled = false;
  /** Messages out and in, of a call that streams. */
  sender: MessageSender | undefined;
  receiver: MessageReceiver<unknown> | undefined;
  /** Reads the messages that come in. */
  messageReader: PayloadReader<unknown> | undefined;
  /** `ClientStreams` and `ServerStreams`, as they go on the wire. */
  streamFlags = 0;
  /** What goes before the message: object id and headers, encoded; undefined if there is nothing. */
  preface: Uint8Array | undefined;
  /** Headers are part of it. */
  hasHeaders = false;
  /** Came with the peer's last word. */
  trailers: Metadata | undefined;
  deadlineAt = 0;
  heapIndex = -1;
  readonly terms: CallTerms | undefined;
  readonly parent: ParentCall | undefined;
  /** Made for a call of the peer's: it does not wait for a place. */
  readonly isNested: boolean = false;
  readonly #owner: CallOwner;
  readonly #signal: AbortSignal | undefined;
  #isHeaderTold = false;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: PlugError) => void;

  constructor(
    owner: CallOwner,
    route: Route,
    writer: PayloadWriter<unknown>,
    value: unknown,
    reader: PayloadReader<unknown>,
    terms: CallTerms | undefined,
    resolve: (value: unknown) => void,
    reject: (error: PlugError) => void,
  ) {
    this.#owner = owner;
    this.route = route;
    this.writer = writer;
    this.value = value;
    this.reader = reader;
    this.#resolve = resolve;
    this.#reject = reject;
    this.terms = terms;
    if (terms === undefined) return;
    this.parent = parentOf(terms);
    // The parent tells by itself when it ends: no signal has to be made for it.
    if ((terms as unknown) !== this.parent) {
      const { timeoutMs, signal } = terms;
      if (timeoutMs !== undefined) this.deadlineAt = performance.now() + timeoutMs;
      this.#signal = signal;
      signal?.addEventListener("abort", this);
    }
    if (this.parent === undefined) return;
    this.isNested = owner.owns(this.parent);
    this.parent.adopt(this);
    const { deadlineAt } = this.parent;
    if (deadlineAt > 0 && (this.deadlineAt === 0 || deadlineAt < this.deadlineAt)) {
      this.deadlineAt = deadlineAt;
    }
  }

  get hasDeadline(): boolean {
    return this.deadlineAt > 0;
  }

  /** Whose allowance it comes out of. */
  get callClass(): CallClass {
    return classOf(this.isNested, this.streamFlags);
  }

  /** The peer's headers have come, or are known not to come. */
  tellHeaders(headers: () => Metadata): void {
    if (this.#isHeaderTold) return;
    this.#isHeaderTold = true;
    this.terms?.onHeader?.(headers());
  }

  /** The peer has said its last word: what it sent beside it, or that it sent nothing. */
  tellMetadata(): void {
    this.tellHeaders(noHeaders);
    this.tellTrailers();
  }

  tellTrailers(): void {
    this.terms?.onTrailer?.(this.trailers ?? noHeaders());
  }

  get isHeaderTold(): boolean {
    return this.#isHeaderTold;
  }

  /** `"example.KV.Get"` */
  get name(): string {
    return `${this.route.service}.${this.route.method}`;
  }

  /** Settles the call, unless it is settled already. */
  resolve(value: unknown): void {
    if (this.isSettled) return;
    this.#settle();
    this.receiver?.end();
    this.receiver?.release();
    this.sender?.close(new PlugError("cancelled", `${this.name} has been answered`));
    this.#resolve(value);
  }

  /** Settles the call, unless it is settled already. */
  reject(error: PlugError): void {
    if (this.isSettled) return;
    this.#settle();
    this.receiver?.fail(error);
    this.sender?.close(error);
    this.#reject(error);
  }

  due(): void {
    this.receiver?.discard();
    const { terms, parent } = this;
    const span =
      parent !== undefined && parent.deadlineAt === this.deadlineAt
        ? "the deadline of the call that it was made for"
        : `timeoutMs ${terms?.timeoutMs}`;
    this.#owner.abandon(
      this,
      new PlugError("deadline_exceeded", `${this.name} was not answered within ${span}`),
    );
  }

  /** The abort event of the caller's signal. */
  handleEvent(): void {
    this.receiver?.discard();
    this.#owner.abandon(this, cancelled(this.name, this.#signal?.reason));
  }

  parentAborted(): void {
    this.receiver?.discard();
    const reason = this.parent?.abortReason;
    if (reason?.code === "deadline_exceeded") this.due();
    else this.#owner.abandon(this, cancelled(this.name, reason));
  }

  #settle(): void {
    this.isSettled = true;
    this.value = undefined;
    this.#signal?.removeEventListener("abort", this);
    this.parent?.disown(this);
    this.#owner.settled();
  }
}

/** For a peer that sent none. */
export function noHeaders(): Metadata {
  return new Metadata();
}

export function cancelled(name: string, cause: unknown): PlugError {
  return new PlugError("cancelled", `${name} was cancelled by its caller`, { cause });
}
