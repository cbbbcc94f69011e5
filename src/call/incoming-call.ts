// A call that the peer placed and that this side answers.

import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { Due } from "./deadlines.ts";
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

/** Answers calls. */
export interface CallHandler {
  /**
   * Answers the call at once, or calls `call.defer()` and answers later. Must not throw.
   *
   * The request is `buffer[from, to)`, borrowed unless `owned`.
   */
  handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void;
}

/**
 * One call in the making. Handlers get it as their context, so it has what a context needs, and
 * makes it only when it is asked for.
 */
export class IncomingCall implements Due {
  readonly id: number;
  readonly methodId: number;
  /** Full name of the service and name of the rpc, set by whoever looks up the method id. */
  service = "";
  method = "";
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
  readonly #responder: Responder;
  #controller: AbortController | undefined;
  #abortReason: PlugError | undefined;

  constructor(
    responder: Responder,
    id: number,
    methodId: number,
    deadlineAt: number,
    streamFlags = 0,
  ) {
    this.streamFlags = streamFlags;
    this.#responder = responder;
    this.id = id;
    this.methodId = methodId;
    this.deadlineAt = deadlineAt;
  }

  /** Aborts when the caller gives the call up, its deadline passes, or the connection ends. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** Milliseconds that are left until the deadline, at least 0; undefined without a deadline. */
  get timeoutMs(): number | undefined {
    return this.deadlineAt === 0 ? undefined : Math.max(0, this.deadlineAt - performance.now());
  }

  respond<T>(writer: PayloadWriter<T>, value: T): void {
    this.#responder.respond(this, writer, value);
  }

  fail(error: unknown): void {
    this.#responder.fail(this, error);
  }

  /** Makes the messages of the caller readable. They are waiting, or come later. */
  messages<T>(reader: PayloadReader<T>): MessageReceiver<T> {
    return this.#responder.messages(this, reader);
  }

  defer(): void {
    this.#responder.defer(this);
  }

  /** Tells the handler that nobody waits any more. The first reason stays. */
  abort(reason: PlugError): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.receiver?.fail(reason);
    this.sender?.stop(reason);
    this.#controller?.abort(reason);
  }

  /** The caller will cancel at this moment by its own clock; the handler need not wait for it. */
  due(): void {
    this.abort(
      new PlugError("deadline_exceeded", `${this.service}.${this.method} has passed its deadline`),
    );
  }
}
