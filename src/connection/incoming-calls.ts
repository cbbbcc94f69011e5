// The callee's half of a connection: calls that the peer has placed.

import type { Deadlines } from "../call/deadlines.ts";
import {
  type CallHandler,
  IncomingCall,
  type Responder,
  responseFailure,
} from "../call/incoming-call.ts";
import { MessageReceiver } from "../stream/message-receiver.ts";
import { MessageSender } from "../stream/message-sender.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";
import { asPlugError, PlugError } from "../error/plug-error.ts";
import { encodeError } from "../frame/error-payload.ts";
import { FrameFlag, FrameKind } from "../frame/frame-header.ts";
import type { BulkSend } from "./bulk-queue.ts";
import { outOfPlace, readTotal, readU32, tooLarge } from "./frame-input.ts";
import type { FrameOutlet } from "./frame-outlet.ts";
import { Reassembly } from "./reassembly.ts";
import { creditPayload, readCredit, type StreamAccounts, streamOutlet } from "./streams.ts";

export interface IncomingLimits {
  /** Largest request that this side accepts. */
  readonly maxRequestBytes: number;
  /** Largest response, by the lower limit of the two sides. */
  readonly maxResponseBytes: number;
  readonly maxInFlightCalls: number;
}

/** A request of which the rest has not come yet. */
interface PartialRequest {
  readonly call: IncomingCall;
  readonly message: Reassembly;
}

export class IncomingCalls implements Responder {
  readonly #outlet: FrameOutlet;
  readonly #limits: IncomingLimits;
  readonly #deadlines: Deadlines;
  readonly #handler: CallHandler | undefined;
  readonly #streams: StreamAccounts;
  // Calls that could not be answered at once, by request id. One that is answered at once costs
  // no entry.
  readonly #running = new Map<number, IncomingCall>();
  readonly #partialRequests = new Map<number, PartialRequest>();
  // Answers that are being sent in pieces, by request id.
  readonly #bulkAnswers = new Map<number, BulkSend>();
  // Messages of streams that come in pieces, by request id.
  readonly #partialMessages = new Map<number, Reassembly>();
  // Calls that are answered though their caller has not said yet that it sends no more messages.
  readonly #unfinished = new Set<number>();
  // Why nobody waits for answers any more.
  #abortReason: PlugError | undefined;

  constructor(
    outlet: FrameOutlet,
    limits: IncomingLimits,
    deadlines: Deadlines,
    handler: CallHandler | undefined,
    streams: StreamAccounts,
  ) {
    this.#streams = streams;
    this.#outlet = outlet;
    this.#limits = limits;
    this.#deadlines = deadlines;
    this.#handler = handler;
  }

  /** Calls that have not been answered in full. */
  get count(): number {
    let count =
      this.#running.size +
      this.#partialRequests.size +
      this.#bulkAnswers.size +
      this.#unfinished.size;
    if (this.#unfinished.size === 0) return count;
    // A call that is answered early with a long message is in two of them.
    for (const id of this.#bulkAnswers.keys()) if (this.#unfinished.has(id)) count -= 1;
    return count;
  }

  respond<T>(call: IncomingCall, writer: PayloadWriter<T>, value: T): void {
    if (call.isAnswered) return;
    try {
      const byteCount = writer.size(value);
      const { maxResponseBytes } = this.#limits;
      if (byteCount > maxResponseBytes) {
        throw tooLarge(`response of ${call.service}.${call.method}`, byteCount, maxResponseBytes);
      }
      this.#writeResponse(call.id, writer, value, byteCount);
    } catch (error) {
      this.fail(call, responseFailure(call, error));
      return;
    }
    this.#answered(call);
  }

  fail(call: IncomingCall, error: unknown): void {
    if (call.isAnswered) return;
    this.#answered(call);
    this.#writeError(call.id, error);
  }

  defer(call: IncomingCall): void {
    if (call.isAnswered) return;
    if (this.#abortReason !== undefined) {
      call.isAnswered = true;
      call.abort(this.#abortReason);
      return;
    }
    // Once when it starts to wait for its handler, and once more when that runs.
    if (this.#running.has(call.id)) return;
    this.#running.set(call.id, call);
    if (call.deadlineAt > 0) this.#deadlines.add(call);
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
      if (to - from < 4) throw new PlugError("protocol_error", `request ${id} lacks its deadline`);
      deadlineAt = performance.now() + readU32(buffer, from);
      from += 4;
    }
    if (this.count > 0) this.#checkPlace(id);
    if (this.#outlet.isCongested) this.#outlet.checkUnread(this.#limits.maxInFlightCalls);
    const streamFlags = flags & streamBits;
    if ((streamFlags & FrameFlag.ClientStreams) !== 0 && (isSplit || from < to)) {
      throw new PlugError("protocol_error", `request ${id} has a message, and streams them too`);
    }
    const call = new IncomingCall(this, id, methodId, deadlineAt, streamFlags);
    if (streamFlags !== 0) this.#prepareStream(call);
    if (isSplit) this.#startPartial(call, totalBytes, buffer, from, to);
    else this.#handle(call, buffer, from, to, false);
  }

  onRequestPiece(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const isLast = (flags & FrameFlag.More) === 0;
    const streamed = this.#partialMessages.get(id);
    if (streamed !== undefined) {
      streamed.add(buffer, from, to, isLast);
      if (!isLast) return;
      this.#partialMessages.delete(id);
      const bytes = streamed.take();
      if (bytes === undefined) return;
      this.#deliverMessage(this.#running.get(id), bytes, 0, bytes.byteLength, true);
      return;
    }
    const request = this.#partialRequests.get(id);
    if (request === undefined) throw outOfPlace("continue", id);
    request.message.add(buffer, from, to, isLast);
    if (!isLast) return;
    this.#partialRequests.delete(id);
    const bytes = request.message.take();
    if (bytes !== undefined) this.#handle(request.call, bytes, 0, bytes.byteLength, true);
  }

  messages<T>(call: IncomingCall, reader: PayloadReader<T>): MessageReceiver<T> {
    const { receivePool, windowBytes } = this.#streams;
    const receiver = new MessageReceiver<T>(
      {
        sendCredit: (byteCount) => {
          const payload = creditPayload(byteCount);
          this.#outlet.write(FrameKind.Credit, FrameFlag.FromCallee, call.id, payload);
        },
        // The caller hears of it by the answer.
        cancel() {},
      },
      receivePool,
      windowBytes,
    );
    call.receiver = receiver as MessageReceiver<unknown>;
    call.messageReader = reader;
    return receiver;
  }

  onMessage(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#running.get(id);
    if (this.#partialMessages.has(id)) throw outOfPlace("message", id);
    if (call === undefined) {
      if (!this.#unfinished.has(id)) throw outOfPlace("message", id);
    } else {
      if (call.isSourceEnded) throw outOfPlace("message", id);
      call.receiver?.start(id, (flags & FrameFlag.More) !== 0);
    }
    if ((flags & FrameFlag.More) === 0) {
      this.#deliverMessage(call, buffer, from, to, false);
      return;
    }
    const totalBytes = readTotal(buffer, from, to);
    const { maxRequestBytes } = this.#limits;
    if (totalBytes > maxRequestBytes) this.#refuseMessage(call, totalBytes);
    const isDropped = call === undefined || call.isAnswered;
    const message = new Reassembly(totalBytes, isDropped);
    this.#partialMessages.set(id, message);
    message.add(buffer, from + 4, to, false);
  }

  /** The caller sends no more messages. */
  onEnd(id: number): void {
    if (this.#partialMessages.has(id)) throw outOfPlace("end", id);
    const call = this.#running.get(id);
    if (call === undefined) {
      if (!this.#unfinished.delete(id)) throw outOfPlace("end", id);
      return;
    }
    if (call.isSourceEnded) throw outOfPlace("end", id);
    call.isSourceEnded = true;
    call.receiver?.end();
  }

  onCredit(id: number, buffer: Uint8Array, from: number, to: number): void {
    const byteCount = readCredit(buffer, from, to);
    const call = this.#running.get(id);
    if (call === undefined) return; // the answer has been sent already, and the two have crossed
    if (call.sender === undefined) throw outOfPlace("credit", id);
    call.sender.onCredit(byteCount);
  }

  #prepareStream(call: IncomingCall): void {
    call.isSourceEnded = (call.streamFlags & FrameFlag.ClientStreams) === 0;
    if ((call.streamFlags & FrameFlag.ServerStreams) === 0) return;
    const { sendPool, peerWindowBytes, maxMessageBytes } = this.#streams;
    const outlet = streamOutlet(this.#outlet, FrameFlag.FromCallee, maxMessageBytes);
    call.sender = new MessageSender(outlet, sendPool, peerWindowBytes);
    call.sender.open(call.id);
  }

  #deliverMessage(
    call: IncomingCall | undefined,
    buffer: Uint8Array,
    from: number,
    to: number,
    owned: boolean,
  ): void {
    const { receiver, messageReader } = call ?? {};
    if (call === undefined || receiver === undefined || messageReader === undefined) return;
    if (to - from > this.#limits.maxRequestBytes) {
      this.#refuseMessage(call, to - from);
      return;
    }
    try {
      receiver.push(messageReader.read(buffer, from, to, owned), to - from);
    } catch (error) {
      this.#giveUp(call, asPlugError(error));
    }
  }

  #refuseMessage(call: IncomingCall | undefined, byteCount: number): void {
    if (call === undefined) return;
    this.#giveUp(call, tooLarge("message", byteCount, this.#limits.maxRequestBytes));
  }

  onCancel(id: number): void {
    this.#partialMessages.delete(id);
    this.#unfinished.delete(id);
    const partial = this.#partialRequests.get(id);
    if (partial !== undefined) {
      this.#partialRequests.delete(id);
      this.fail(partial.call, givenUp());
      return;
    }
    const call = this.#running.get(id);
    if (call !== undefined) {
      call.isSourceEnded = true;
      this.#giveUp(call, givenUp());
      return;
    }
    const bulk = this.#bulkAnswers.get(id);
    if (bulk !== undefined) {
      this.#outlet.stop(bulk);
      this.#bulkAnswers.delete(id);
      this.#writeError(id, givenUp());
    }
    // Else the answer has been sent already, and the two have crossed.
  }

  /** Nobody waits for answers any more. */
  abortAll(reason: PlugError): void {
    this.#abortReason = reason;
    const calls = [...this.#running.values()];
    this.#running.clear();
    this.#partialRequests.clear();
    this.#bulkAnswers.clear();
    this.#partialMessages.clear();
    this.#unfinished.clear();
    for (const call of calls) {
      call.isAnswered = true;
      call.abort(reason);
      call.sender?.close(reason);
    }
  }

  #startPartial(
    call: IncomingCall,
    totalBytes: number,
    buffer: Uint8Array,
    from: number,
    to: number,
  ): void {
    const { maxRequestBytes } = this.#limits;
    const isTooLarge = totalBytes > maxRequestBytes;
    const message = new Reassembly(totalBytes, isTooLarge);
    // Also if it is too large: its other pieces are on their way.
    this.#partialRequests.set(call.id, { call, message });
    if (isTooLarge) this.fail(call, tooLarge("request", totalBytes, maxRequestBytes));
    message.add(buffer, from, to, false);
  }

  // The caller counts as we do: a call counts until its last word, so a caller that goes over the
  // limit, or uses an id twice, breaks the protocol.
  #checkPlace(id: number): void {
    const isTaken =
      this.#running.has(id) ||
      this.#partialRequests.has(id) ||
      this.#bulkAnswers.has(id) ||
      this.#unfinished.has(id);
    if (isTaken) {
      throw new PlugError("protocol_error", `request id ${id} is in use already`);
    }
    const { maxInFlightCalls } = this.#limits;
    if (this.count >= maxInFlightCalls) {
      throw new PlugError(
        "protocol_error",
        `request ${id} is one more than maxInFlightCalls ${maxInFlightCalls}`,
      );
    }
  }

  #handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    const { maxRequestBytes } = this.#limits;
    if (to - from > maxRequestBytes) {
      this.fail(call, tooLarge("request", to - from, maxRequestBytes));
    } else if (this.#handler === undefined) {
      // The peer knows from the handshake that there is nothing to call.
      throw new PlugError("protocol_error", `request ${call.id} to a side that serves nothing`);
    } else {
      this.#handler.handle(call, buffer, from, to, owned);
    }
  }

  // Answers for the handler, and tells it why. The answer comes first: the handler's listeners are
  // not to be waited for.
  #giveUp(call: IncomingCall, reason: PlugError): void {
    this.#answered(call, reason);
    this.#writeError(call.id, reason);
    call.abort(reason);
  }

  // `reason` is why messages neither come nor go any more; else it is that there is an answer.
  #answered(call: IncomingCall, reason?: PlugError): void {
    call.isAnswered = true;
    this.#deadlines.remove(call);
    if (this.#running.size > 0) this.#running.delete(call.id);
    if (call.streamFlags === 0) return;
    const over =
      reason ?? new PlugError("cancelled", `${call.service}.${call.method} has been answered`);
    call.sender?.close(over);
    call.receiver?.fail(over);
    this.#partialMessages.get(call.id)?.discard();
    if (!call.isSourceEnded && this.#abortReason === undefined) this.#unfinished.add(call.id);
  }

  #writeResponse<T>(id: number, writer: PayloadWriter<T>, value: T, byteCount: number): void {
    const kind = FrameKind.Response;
    const flags = FrameFlag.FromCallee;
    if (this.#outlet.fits(byteCount, false)) {
      this.#outlet.writeMessage(kind, flags, 0, id, 0, writer, value, byteCount);
      return;
    }
    const message = { kind, flags, methodId: 0, requestId: id, deadlineAt: 0 };
    const bulk = this.#outlet.writeInPieces(message, writer, value, byteCount, () =>
      this.#bulkAnswers.delete(id),
    );
    this.#bulkAnswers.set(id, bulk);
  }

  #writeError(id: number, error: unknown): void {
    this.#outlet.write(FrameKind.Error, FrameFlag.FromCallee, id, encodeError(error));
  }
}

const streamBits = FrameFlag.ClientStreams | FrameFlag.ServerStreams;

function givenUp(): PlugError {
  return new PlugError("cancelled", "the caller gave the call up");
}
