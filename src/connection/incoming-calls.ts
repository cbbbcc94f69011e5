// The callee's half of a connection: calls that the peer has placed.

import type { Deadlines } from "../call/deadlines.ts";
import {
  type CallHandler,
  IncomingCall,
  type Responder,
  responseFailure,
} from "../call/incoming-call.ts";
import { PlugError } from "../error/plug-error.ts";
import { encodeError, type ErrorSpeaker } from "../frame/error-payload.ts";
import { firstObjectMethodId, FrameFlag, FrameKind } from "../frame/frame-header.ts";
import { encodePreface } from "../frame/preface.ts";
import { encodeMetadata, metadataTooLarge } from "../metadata/metadata-block.ts";
import type { Metadata } from "../metadata/metadata.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";
import {
  metadataEnd,
  outOfPlace,
  readMetadata,
  readPrefix,
  readTotal,
  tooLarge,
} from "./frame-input.ts";
import type { FrameOutlet } from "./frame-outlet.ts";
import { type HeldCall, HeldCalls } from "./held-calls.ts";
import { IncomingStreams } from "./incoming-streams.ts";
import type { PartialBytes } from "./partial-bytes.ts";
import { Reassembly } from "./reassembly.ts";
import type { StreamAccounts } from "./streams.ts";

export interface IncomingOptions {
  /** Largest request that this side accepts. */
  readonly maxRequestBytes: number;
  /** Largest response, by the lower limit of the two sides. */
  readonly maxResponseBytes: number;
  /** Longest headers that this side accepts, and that the other does. */
  readonly maxHeaderBytes: number;
  readonly maxSentHeaderBytes: number;
  /** Calls that this side accepts at once, by class. */
  readonly allowances: readonly number[];
  /** Errors go out with the stack of whoever threw them. */
  readonly exposeStack: boolean;
}

export class IncomingCalls implements Responder {
  readonly #outlet: FrameOutlet;
  readonly #options: IncomingOptions;
  readonly #deadlines: Deadlines;
  readonly #handler: CallHandler | undefined;
  // One that is answered at once costs no entry.
  readonly #held: HeldCalls;
  readonly #streams: IncomingStreams;
  readonly #partialBytes: PartialBytes;
  // Why no more calls are taken.
  #drainReason: PlugError | undefined;
  // Why nobody waits for answers any more.
  #abortReason: PlugError | undefined;
  /** Told when the last call that was held has been let go of. */
  onIdle: (() => void) | undefined;

  constructor(
    outlet: FrameOutlet,
    options: IncomingOptions,
    deadlines: Deadlines,
    handler: CallHandler | undefined,
    streams: StreamAccounts,
  ) {
    this.#outlet = outlet;
    this.#options = options;
    this.#deadlines = deadlines;
    this.#handler = handler;
    this.#held = new HeldCalls(options.allowances);
    this.#partialBytes = streams.partialBytes;
    this.#streams = new IncomingStreams(outlet, this.#held, streams, options.maxRequestBytes, this);
  }

  /** Calls that have not been answered in full. */
  get count(): number {
    return this.#held.size;
  }

  respond<T>(call: IncomingCall, writer: PayloadWriter<T>, value: T): void {
    if (call.isAnswered) return;
    const stopReason = call.sender?.stopReason;
    // Perhaps in the middle of a message, behind which only an error can come.
    if (stopReason !== undefined) return this.fail(call, stopReason);
    try {
      const byteCount = writer.size(value);
      const { maxResponseBytes } = this.#options;
      if (byteCount > maxResponseBytes) {
        throw tooLarge(`response of ${call.name}`, byteCount, maxResponseBytes);
      }
      if (call.sentHeaders !== undefined) this.sendHeaders(call);
      const trailers =
        call.sentTrailers === undefined ? undefined : this.#trailers(call, call.sentTrailers);
      this.#writeResponse(call, trailers, writer, value, byteCount);
    } catch (error) {
      this.fail(call, responseFailure(call, error));
      return;
    }
    this.#answered(call);
  }

  fail(call: IncomingCall, error: unknown, speaker: ErrorSpeaker = "handler"): void {
    if (call.isAnswered) return;
    this.#answered(call);
    this.#writeError(call, error, speaker);
  }

  defer(call: IncomingCall): void {
    if (call.isAnswered) return;
    if (this.#abortReason !== undefined) {
      call.isAnswered = true;
      call.abort(this.#abortReason);
      return;
    }
    const held = this.#held.hold(call);
    // Once when it starts to wait for its handler, and once more when that runs.
    if (held.isRunning) return;
    held.isRunning = true;
    if (call.deadlineAt > 0) this.#deadlines.add(call);
  }

  messages<T>(call: IncomingCall, reader: PayloadReader<T>): MessageReceiver<T> {
    return this.#streams.messages(call, reader);
  }

  /** Response headers go out once, before whatever else is said. */
  sendHeaders(call: IncomingCall): void {
    if (call.areHeadersSent || call.sentHeaders === undefined) return;
    call.areHeadersSent = true;
    const { maxSentHeaderBytes } = this.#options;
    const what = `response headers of ${call.name}`;
    const bytes = encodeMetadata(call.sentHeaders, maxSentHeaderBytes, what);
    if (bytes.byteLength === 0) return;
    this.#outlet.write(FrameKind.Headers, FrameFlag.FromCallee, call.id, bytes);
  }

  onRequest(
    flags: number,
    methodId: number,
    id: number,
    buffer: Uint8Array,
    from: number,
    to: number,
  ): void {
    if (id === 0) throw new PlugError("protocol_error", "request has id 0");
    const isSplit = (flags & FrameFlag.More) !== 0;
    let totalBytes = 0;
    if (isSplit) {
      totalBytes = readTotal(buffer, from, to);
      from += 4;
    }
    let deadlineAt = 0;
    if ((flags & FrameFlag.Deadline) !== 0) {
      deadlineAt = performance.now() + readPrefix("deadline", id, buffer, from, to);
      from += 4;
    }
    let objectId = 0;
    if (methodId >= firstObjectMethodId) {
      objectId = readPrefix("object id", id, buffer, from, to);
      if (objectId === 0) throw new PlugError("protocol_error", `request ${id} has object id 0`);
      methodId -= firstObjectMethodId;
      from += 4;
    }
    let headers: Metadata | undefined;
    let refusal = this.#drainReason;
    if ((flags & FrameFlag.Metadata) !== 0) {
      const end = metadataEnd(buffer, from, to);
      const { maxHeaderBytes } = this.#options;
      const headerBytes = end - from - 4;
      if (headerBytes <= maxHeaderBytes) headers = readMetadata(buffer, from, end);
      else refusal = metadataTooLarge("the request's headers", headerBytes, maxHeaderBytes);
      from = end;
    }
    const isNested = (flags & FrameFlag.Nested) !== 0;
    if (isNested && refusal === this.#drainReason) refusal = undefined;
    const streamFlags = flags & streamBits;
    if ((streamFlags & FrameFlag.ClientStreams) !== 0 && (isSplit || from < to)) {
      throw new PlugError("protocol_error", `request ${id} has a message, and streams them too`);
    }
    const call = new IncomingCall(
      this,
      id,
      methodId,
      deadlineAt,
      streamFlags,
      objectId,
      isNested,
      headers,
    );
    this.#held.checkPlace(call);
    if (this.#outlet.isCongested) this.#outlet.checkUnread();
    if (streamFlags !== 0) this.#streams.prepare(call);
    if (isSplit) this.#startSplit(call, totalBytes, refusal, buffer, from, to);
    else if (refusal === undefined) this.#handle(call, buffer, from, to, false);
    else this.fail(call, refusal, "runtime");
  }

  onPiece(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const isLast = (flags & FrameFlag.More) === 0;
    const held = this.#held.get(id);
    if (held?.message !== undefined) {
      this.#streams.onPiece(held, buffer, from, to, isLast);
      return;
    }
    if (held?.request === undefined) throw outOfPlace("continue", id);
    const { request, call } = held;
    request.add(buffer, from, to, isLast);
    if (request.excess !== undefined) this.fail(call, request.excess);
    if (!isLast) return;
    held.request = undefined;
    const bytes = request.take();
    if (bytes !== undefined) this.#handle(call, bytes, 0, bytes.byteLength, true);
    this.#settle(held);
  }

  onMessage(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    this.#streams.onMessage(flags, id, buffer, from, to);
  }

  onEnd(id: number): void {
    this.#streams.onEnd(id);
    this.#checkIdle();
  }

  onCredit(id: number, buffer: Uint8Array, from: number, to: number): void {
    this.#streams.onCredit(id, buffer, from, to);
  }

  onCancel(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) return; // the answer has been sent already, and the two have crossed
    const { call, answer } = held;
    held.message?.discard();
    held.message = undefined;
    call.isSourceEnded = true;
    if (held.request !== undefined) {
      held.request.discard();
      held.request = undefined;
      this.fail(call, givenUp());
    } else if (held.isRunning) {
      this.giveUp(call, givenUp());
    } else if (answer !== undefined) {
      this.#outlet.stop(answer);
      held.answer = undefined;
      this.#writeError(call, givenUp());
    }
    this.#settle(held);
  }

  /** Refuses new calls from now on, but for those that are made for calls in flight. */
  drain(reason: PlugError): void {
    this.#drainReason ??= reason;
  }

  /** Nobody waits for answers any more. */
  abortAll(reason: PlugError): void {
    this.#abortReason = reason;
    for (const { call, isRunning } of this.#held.takeAll()) {
      call.isAnswered = true;
      if (isRunning) call.abort(reason);
      call.sender?.close(reason);
    }
    this.onIdle?.();
  }

  /** Answers for the handler, and tells it why. */
  giveUp(call: IncomingCall, reason: PlugError): void {
    this.#answered(call, reason);
    this.#writeError(call, reason);
    // After the answer: the handler's listeners are not to be waited for.
    call.abort(reason);
  }

  #startSplit(
    call: IncomingCall,
    totalBytes: number,
    refusal: PlugError | undefined,
    buffer: Uint8Array,
    from: number,
    to: number,
  ): void {
    const { maxRequestBytes } = this.#options;
    if (totalBytes > maxRequestBytes) refusal = tooLarge("request", totalBytes, maxRequestBytes);
    // Also if it is refused: its other pieces are on their way.
    const request = new Reassembly(totalBytes, refusal !== undefined, this.#partialBytes, call.id);
    this.#held.hold(call).request = request;
    if (refusal !== undefined) this.fail(call, refusal, "runtime");
    request.add(buffer, from, to, false);
    if (request.excess !== undefined) this.fail(call, request.excess);
  }

  #handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    const { maxRequestBytes } = this.#options;
    if (to - from > maxRequestBytes) {
      this.fail(call, tooLarge("request", to - from, maxRequestBytes));
    } else if (this.#handler === undefined) {
      this.fail(call, new PlugError("unimplemented", "this side serves nothing"));
    } else {
      this.#handler.handle(call, buffer, from, to, owned);
    }
  }

  // `reason` is why messages neither come nor go any more; else it is that there is an answer.
  #answered(call: IncomingCall, reason?: PlugError): void {
    call.isAnswered = true;
    this.#deadlines.remove(call);
    if (call.streamFlags !== 0) {
      const over = reason ?? new PlugError("cancelled", `${call.name} has been answered`);
      call.sender?.close(over);
      call.receiver?.fail(over);
    }
    let held = this.#held.get(call.id);
    if (held === undefined) {
      if (call.isSourceEnded || this.#abortReason !== undefined) return;
      // Its caller has not said yet that it sends no more messages.
      held = this.#held.hold(call);
    }
    held.isRunning = false;
    held.message?.discard();
    this.#settle(held);
  }

  #settle(held: HeldCall): void {
    this.#held.settle(held);
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.onIdle !== undefined && this.#held.size === 0) this.onIdle();
  }

  #trailers(call: IncomingCall, trailers: Metadata): Uint8Array | undefined {
    const { maxSentHeaderBytes } = this.#options;
    const what = `trailers of ${call.name}`;
    return encodePreface(0, encodeMetadata(trailers, maxSentHeaderBytes, what));
  }

  #writeResponse<T>(
    call: IncomingCall,
    preface: Uint8Array | undefined,
    writer: PayloadWriter<T>,
    value: T,
    byteCount: number,
  ): void {
    const { id } = call;
    const kind = FrameKind.Response;
    const flags = FrameFlag.FromCallee | (preface === undefined ? 0 : FrameFlag.Metadata);
    if (this.#outlet.fits(byteCount, false, preface)) {
      this.#outlet.writeMessage(kind, flags, 0, id, 0, preface, writer, value, byteCount);
      return;
    }
    const message = { kind, flags, methodId: 0, requestId: id, deadlineAt: 0, preface };
    const over = (): void => {
      held.answer = undefined;
      this.#settle(held);
    };
    const failed = (error: PlugError): void => {
      this.#writeError(call, responseFailure(call, error));
      over();
    };
    const answer = this.#outlet.writeInPieces(message, writer, value, byteCount, over, failed);
    const held = this.#held.hold(call);
    held.answer = answer;
  }

  #writeError(call: IncomingCall, error: unknown, speaker: ErrorSpeaker = "handler"): void {
    let payload = encodeError(error, speaker, this.#options.exposeStack);
    let flags: number = FrameFlag.FromCallee;
    const trailers = this.#trailersOfError(call);
    if (trailers !== undefined) {
      payload = Buffer.concat([trailers, payload]);
      flags |= FrameFlag.Metadata;
    }
    this.#outlet.write(FrameKind.Error, flags, call.id, payload);
  }

  // What the handler threw matters more than trailers that are too long.
  #trailersOfError(call: IncomingCall): Uint8Array | undefined {
    try {
      if (call.sentHeaders !== undefined) this.sendHeaders(call);
    } catch {
      // The same.
    }
    try {
      return call.sentTrailers === undefined ? undefined : this.#trailers(call, call.sentTrailers);
    } catch {
      return undefined;
    }
  }
}

const streamBits = FrameFlag.ClientStreams | FrameFlag.ServerStreams;

function givenUp(): PlugError {
  return new PlugError("cancelled", "the caller gave the call up");
}
