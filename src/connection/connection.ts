// Wire 2: any number of calls at once over one transport, both ways. The same code on both sides.
//
// Knows nothing of messages (see ./payload.ts) or processes. Every call settles: by its answer, by
// being given up, or by the connection's end, whichever comes first.

import { PlugError } from "../error/plug-error.ts";
import { decodeError, encodeError } from "../frame/error-payload.ts";
import { FrameFlag, FrameKind, headerBytes, kindName, writeHeader } from "../frame/frame-header.ts";
import { FrameReader, type FrameSink } from "../frame/frame-reader.ts";
import type { Receiver, Transport } from "../transport/transport.ts";
import { BulkQueue, type BulkSend, maxFramePayloadBytes, timeLeftMs } from "./bulk-queue.ts";
import { CallTable } from "./call-table.ts";
import type { ClientConnection, ConnectionEvents } from "../call/client-connection.ts";
import { Deadlines } from "../call/deadlines.ts";
import { type CallHandler, IncomingCall, type Responder } from "../call/incoming-call.ts";
import type { Limits } from "../call/limits.ts";
import { type CallOwner, type CallTerms, OutgoingCall, type Route } from "../call/outgoing-call.ts";
import { placeCall, WaitingCalls } from "../call/place-call.ts";
import type { PayloadReader, PayloadWriter } from "../call/payload.ts";
import { Reassembly } from "./reassembly.ts";

export interface ConnectionOptions {
  readonly transport: Transport;
  /** What this side accepts. */
  readonly limits: Limits;
  /** What the peer accepts. */
  readonly peerLimits: Limits;
  /** Answers the peer's calls. Without it they all fail with `unimplemented`. */
  readonly handler?: CallHandler | undefined;
  readonly events?: ConnectionEvents | undefined;
}

/** A request of which the rest has not come yet. */
interface PartialRequest {
  readonly call: IncomingCall;
  readonly message: Reassembly;
}

export class Connection implements ClientConnection, CallOwner, Responder, Receiver, FrameSink {
  readonly #transport: Transport;
  readonly #limits: Limits;
  readonly #peerLimits: Limits;
  readonly #maxInFlightCalls: number;
  readonly #handler: CallHandler | undefined;
  readonly #events: ConnectionEvents;
  readonly #reader: FrameReader;
  readonly #bulk: BulkQueue;
  readonly #deadlines = new Deadlines();

  readonly #calls = new CallTable();
  readonly #waiting = new WaitingCalls();
  // Requests that are being sent in pieces, and answers that come in pieces.
  readonly #bulkRequests = new Map<OutgoingCall, BulkSend>();
  readonly #partialResponses = new Map<OutgoingCall, Reassembly>();

  // Calls of the peer that could not be answered at once, by request id.
  readonly #incoming = new Map<number, IncomingCall>();
  readonly #partialRequests = new Map<number, PartialRequest>();
  // Answers that are being sent in pieces, by request id.
  readonly #bulkAnswers = new Map<number, BulkSend>();

  #closeReason: PlugError | undefined;
  #isFlushOwed = false;
  #isReceiving = false;

  constructor(options: ConnectionOptions) {
    this.#transport = options.transport;
    this.#limits = options.limits;
    this.#peerLimits = options.peerLimits;
    this.#maxInFlightCalls = Math.min(
      options.limits.maxInFlightCalls,
      options.peerLimits.maxInFlightCalls,
    );
    this.#handler = options.handler;
    this.#events = options.events ?? {};
    this.#reader = new FrameReader(maxFramePayloadBytes, this);
    this.#bulk = new BulkQueue(options.transport, (kind, flags, methodId, requestId, bytes) =>
      this.#trace?.(">", kind, flags, methodId, requestId, bytes),
    );
  }

  /** Starts to take frames from the transport. */
  start(): void {
    this.#transport.start(this);
  }

  get inFlightCount(): number {
    return this.#calls.count + this.#waiting.count;
  }

  /** Calls of the peer that have not been answered. */
  get incomingCount(): number {
    return this.#incoming.size + this.#partialRequests.size;
  }

  get closeReason(): PlugError | undefined {
    return this.#closeReason;
  }

  // Calls out.

  call<T, R>(
    route: Route,
    writer: PayloadWriter<T>,
    value: T,
    reader: PayloadReader<R>,
    terms?: CallTerms,
  ): Promise<R> {
    return placeCall(this, route, writer, value, reader, terms);
  }

  /** Why no call can be placed, or undefined if one can. */
  refusal(): PlugError | undefined {
    return this.#closeReason;
  }

  begin(call: OutgoingCall): void {
    if (this.inFlightCount === 0) this.#events.onBusy?.();
    if (call.hasDeadline) this.#deadlines.add(call);
    if (this.#calls.count < this.#maxInFlightCalls) this.#send(call);
    else this.#waiting.add(call);
  }

  abandon(call: OutgoingCall, error: PlugError): void {
    if (call.isSettled) return;
    this.#deadlines.remove(call);
    call.reject(error);
    if (call.id === 0) {
      this.#waiting.remove(call);
      this.#checkIdle();
      return;
    }
    const bulk = this.#bulkRequests.get(call);
    if (bulk !== undefined) this.#stopBulk(call, bulk);
    if (bulk?.sentBytes === 0) {
      // The peer has not heard of it.
      this.#finish(call);
      return;
    }
    this.#partialResponses.get(call)?.discard();
    // The id is taken until the peer has said its last word on it.
    this.#writeFrame(FrameKind.Cancel, 0, 0, call.id, noPayload);
  }

  #send(call: OutgoingCall): void {
    let byteCount: number;
    try {
      byteCount = call.writer.size(call.value);
      this.#checkOutgoing(byteCount, call);
      this.#calls.add(call);
    } catch (error) {
      this.#deadlines.remove(call);
      call.reject(asPlugError(error));
      this.#checkIdle();
      return;
    }
    const prefixBytes = call.hasDeadline ? 4 : 0;
    if (byteCount + prefixBytes > maxFramePayloadBytes) {
      this.#sendInPieces(call, byteCount);
      return;
    }
    const payloadBytes = prefixBytes + byteCount;
    const flags = call.hasDeadline ? FrameFlag.Deadline : 0;
    const transport = this.#transport;
    const start = transport.reserve(headerBytes + payloadBytes);
    writeHeader(
      transport.view,
      start,
      payloadBytes,
      FrameKind.Request,
      flags,
      call.route.methodId,
      call.id,
    );
    let at = start + headerBytes;
    if (call.hasDeadline) {
      transport.view.setUint32(at, timeLeftMs(call.deadlineAt), true);
      at += 4;
    }
    transport.commit(call.writer.write(call.value, transport.buffer, at));
    call.value = undefined;
    this.#trace?.(">", FrameKind.Request, flags, call.route.methodId, call.id, payloadBytes);
    this.#oweFlush();
  }

  #sendInPieces(call: OutgoingCall, byteCount: number): void {
    const bytes = new Uint8Array(byteCount);
    call.writer.write(call.value, bytes, 0);
    call.value = undefined;
    const bulk: BulkSend = {
      kind: FrameKind.Request,
      flags: 0,
      methodId: call.route.methodId,
      requestId: call.id,
      bytes,
      deadlineAt: call.hasDeadline ? call.deadlineAt : undefined,
      sentBytes: 0,
      onSent: () => this.#bulkRequests.delete(call),
    };
    this.#bulkRequests.set(call, bulk);
    this.#bulk.add(bulk);
    this.#oweFlush();
  }

  #checkOutgoing(byteCount: number, call: OutgoingCall): void {
    const maxBytes = Math.min(this.#limits.maxMessageBytes, this.#peerLimits.maxMessageBytes);
    if (byteCount > maxBytes) throw tooLarge(`request of ${call.name}`, byteCount, maxBytes);
  }

  #stopBulk(call: OutgoingCall, bulk: BulkSend): void {
    this.#bulk.remove(bulk);
    this.#bulkRequests.delete(call);
  }

  // The peer has said its last word on the call.
  #finish(call: OutgoingCall): void {
    this.#deadlines.remove(call);
    this.#calls.remove(call);
    // More than one may start: one that cannot be encoded does not use the place that came free.
    while (this.#waiting.count > 0 && this.#calls.count < this.#maxInFlightCalls) {
      this.#send(this.#waiting.take() as OutgoingCall);
    }
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.inFlightCount === 0) this.#events.onIdle?.();
  }

  // Calls in.

  respond<T>(call: IncomingCall, writer: PayloadWriter<T>, value: T): void {
    if (call.isAnswered) return;
    let byteCount: number;
    try {
      byteCount = writer.size(value);
      const maxBytes = Math.min(this.#limits.maxMessageBytes, this.#peerLimits.maxMessageBytes);
      if (byteCount > maxBytes) {
        throw tooLarge(`response of ${call.service}.${call.method}`, byteCount, maxBytes);
      }
    } catch (error) {
      this.fail(call, error);
      return;
    }
    this.#answered(call);
    if (byteCount > maxFramePayloadBytes) {
      this.#respondInPieces(call, writer, value, byteCount);
      return;
    }
    const transport = this.#transport;
    const start = transport.reserve(headerBytes + byteCount);
    const flags = FrameFlag.FromCallee;
    writeHeader(transport.view, start, byteCount, FrameKind.Response, flags, 0, call.id);
    transport.commit(writer.write(value, transport.buffer, start + headerBytes));
    this.#trace?.(">", FrameKind.Response, flags, 0, call.id, byteCount);
    this.#oweFlush();
  }

  fail(call: IncomingCall, error: unknown): void {
    if (call.isAnswered) return;
    this.#answered(call);
    this.#writeFrame(FrameKind.Error, FrameFlag.FromCallee, 0, call.id, encodeError(error));
  }

  defer(call: IncomingCall): void {
    if (call.isAnswered) return;
    this.#incoming.set(call.id, call);
    if (call.deadlineAt > 0) this.#deadlines.add(call);
  }

  #respondInPieces<T>(
    call: IncomingCall,
    writer: PayloadWriter<T>,
    value: T,
    byteCount: number,
  ): void {
    const bytes = new Uint8Array(byteCount);
    writer.write(value, bytes, 0);
    const send: BulkSend = {
      kind: FrameKind.Response,
      flags: FrameFlag.FromCallee,
      methodId: 0,
      requestId: call.id,
      bytes,
      deadlineAt: undefined,
      sentBytes: 0,
      onSent: () => this.#bulkAnswers.delete(call.id),
    };
    this.#bulkAnswers.set(call.id, send);
    this.#bulk.add(send);
    this.#oweFlush();
  }

  #answered(call: IncomingCall): void {
    call.isAnswered = true;
    this.#deadlines.remove(call);
    if (this.#incoming.size > 0) this.#incoming.delete(call.id);
  }

  // Frames in.

  receive(chunk: Uint8Array, from: number, to: number): void {
    if (this.#closeReason !== undefined) return;
    this.#isReceiving = true;
    try {
      this.#reader.push(chunk, from, to);
    } catch (error) {
      this.close(asPlugError(error));
    }
    this.#isReceiving = false;
    if (this.#isFlushOwed) this.#flush();
  }

  frame(
    kind: number,
    flags: number,
    methodId: number,
    requestId: number,
    buffer: Uint8Array,
    from: number,
    to: number,
  ): void {
    // An earlier frame of the same chunk may have closed the connection.
    if (this.#closeReason !== undefined) return;
    this.#trace?.("<", kind, flags, methodId, requestId, to - from);
    switch (kind) {
      case FrameKind.Request:
        this.#onRequest(flags, methodId, requestId, buffer, from, to);
        return;
      case FrameKind.Response:
        this.#onResponse(flags, requestId, buffer, from, to);
        return;
      case FrameKind.Error:
        this.#onError(requestId, buffer, from, to);
        return;
      case FrameKind.Continue:
        if ((flags & FrameFlag.FromCallee) === 0) {
          this.#onRequestPiece(flags, requestId, buffer, from, to);
        } else {
          this.#onResponsePiece(this.#calls.get(requestId), flags, buffer, from, to);
        }
        return;
      case FrameKind.Cancel:
        this.#onCancel(requestId);
        return;
      default:
        throw new PlugError("protocol_error", `${kindName(kind)} frame is not expected here`);
    }
  }

  #onResponse(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#calls.get(id);
    // Not twice, and not before the whole request was sent.
    if (this.#partialResponses.size > 0 && this.#partialResponses.has(call)) {
      throw unexpected("response", id);
    }
    if (this.#bulkRequests.size > 0 && this.#bulkRequests.has(call)) {
      throw unexpected("response", id);
    }
    if ((flags & FrameFlag.More) !== 0) {
      const totalBytes = readTotal(buffer, from, to);
      const isTooLarge = totalBytes > this.#limits.maxMessageBytes;
      if (isTooLarge) {
        call.reject(tooLarge(`response of ${call.name}`, totalBytes, this.#limits.maxMessageBytes));
        this.#deadlines.remove(call);
      }
      this.#partialResponses.set(call, new Reassembly(totalBytes, call.isSettled));
      this.#onResponsePiece(call, flags, buffer, from + 4, to);
      return;
    }
    this.#deliver(call, buffer, from, to, false);
  }

  #onResponsePiece(
    call: OutgoingCall,
    flags: number,
    buffer: Uint8Array,
    from: number,
    to: number,
  ): void {
    const response = this.#partialResponses.get(call);
    if (response === undefined) throw unexpected("continue", call.id);
    const isLast = (flags & FrameFlag.More) === 0;
    response.add(buffer, from, to, isLast);
    if (!isLast) return;
    this.#partialResponses.delete(call);
    const bytes = response.take();
    if (bytes === undefined) this.#finish(call);
    else this.#deliver(call, bytes, 0, bytes.byteLength, true);
  }

  #deliver(call: OutgoingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    if (!call.isSettled) {
      let value: unknown;
      try {
        if (to - from > this.#limits.maxMessageBytes) {
          throw tooLarge(`response of ${call.name}`, to - from, this.#limits.maxMessageBytes);
        }
        value = call.reader.read(buffer, from, to, owned);
      } catch (error) {
        call.reject(asPlugError(error));
      }
      call.resolve(value);
    }
    this.#finish(call);
  }

  #onError(id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#calls.get(id);
    const bulk = this.#bulkRequests.get(call);
    if (bulk !== undefined) {
      // Answered before it was asked in full, so the peer is still expecting the rest.
      this.#stopBulk(call, bulk);
      this.#writeFrame(FrameKind.Cancel, 0, 0, id, noPayload);
    }
    this.#partialResponses.delete(call);
    if (!call.isSettled) call.reject(decodeError(buffer.subarray(from, to)));
    this.#finish(call);
  }

  #onRequest(
    flags: number,
    methodId: number,
    id: number,
    buffer: Uint8Array,
    from: number,
    to: number,
  ): void {
    if (id === 0) throw new PlugError("protocol_error", "request has id 0");
    let totalBytes = 0;
    if ((flags & FrameFlag.More) !== 0) {
      totalBytes = readTotal(buffer, from, to);
      from += 4;
    }
    let deadlineAt = 0;
    if ((flags & FrameFlag.Deadline) !== 0) {
      if (to - from < 4) throw new PlugError("protocol_error", `request ${id} lacks its deadline`);
      deadlineAt = performance.now() + readU32(buffer, from);
      from += 4;
    }
    if (this.incomingCount > 0) this.#checkIncoming(id);
    const call = new IncomingCall(this, id, methodId, deadlineAt);
    if ((flags & FrameFlag.More) === 0) {
      this.#handle(call, buffer, from, to, false);
      return;
    }
    const isTooLarge = totalBytes > this.#limits.maxMessageBytes;
    const message = new Reassembly(totalBytes, isTooLarge);
    this.#partialRequests.set(id, { call, message });
    if (isTooLarge) {
      this.fail(call, tooLarge("request", totalBytes, this.#limits.maxMessageBytes));
    }
    message.add(buffer, from, to, false);
  }

  // The caller counts as we do: a call counts until its last word, so a caller that goes over the
  // limit, or uses an id twice, breaks the protocol.
  #checkIncoming(id: number): void {
    if (this.#incoming.has(id) || this.#partialRequests.has(id)) {
      throw new PlugError("protocol_error", `request id ${id} is in use already`);
    }
    if (this.incomingCount >= this.#limits.maxInFlightCalls) {
      throw new PlugError(
        "protocol_error",
        `request ${id} is one more than maxInFlightCalls ${this.#limits.maxInFlightCalls}`,
      );
    }
  }

  #onRequestPiece(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const request = this.#partialRequests.get(id);
    if (request === undefined) throw unexpected("continue", id);
    const isLast = (flags & FrameFlag.More) === 0;
    request.message.add(buffer, from, to, isLast);
    if (!isLast) return;
    this.#partialRequests.delete(id);
    const bytes = request.message.take();
    if (bytes !== undefined) this.#handle(request.call, bytes, 0, bytes.byteLength, true);
  }

  #handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    if (to - from > this.#limits.maxMessageBytes) {
      this.fail(call, tooLarge("request", to - from, this.#limits.maxMessageBytes));
    } else if (this.#handler === undefined) {
      this.fail(call, new PlugError("unimplemented", `there is no method ${call.methodId} here`));
    } else {
      this.#handler.handle(call, buffer, from, to, owned);
    }
  }

  #onCancel(id: number): void {
    const partial = this.#partialRequests.get(id);
    if (partial !== undefined) {
      this.#partialRequests.delete(id);
      this.fail(partial.call, callCancelled());
      return;
    }
    const call = this.#incoming.get(id);
    if (call !== undefined) {
      const reason = callCancelled();
      this.fail(call, reason);
      call.abort(reason);
      return;
    }
    const answer = this.#bulkAnswers.get(id);
    if (answer !== undefined) {
      this.#bulk.remove(answer);
      this.#bulkAnswers.delete(id);
      this.#writeFrame(FrameKind.Error, FrameFlag.FromCallee, 0, id, encodeError(callCancelled()));
    }
    // Else the answer has been sent already, and the two have crossed.
  }

  // The transport.

  writable(): void {
    this.#bulk.pump();
  }

  ended(cause?: Error): void {
    if (this.#events.onEnded !== undefined) this.#events.onEnded(cause);
    else {
      this.close(new PlugError("unavailable", "the connection has ended", { cause }));
    }
  }

  /** Ends the connection: the first reason wins, and every call settles with it. */
  close(reason: PlugError): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason;
    // Calls before transport: no promise may outlive the connection, even if closing fails.
    const outgoing = [...this.#calls.takeAll(), ...this.#waiting.takeAll()];
    const incoming = [...this.#incoming.values()];
    this.#incoming.clear();
    this.#partialRequests.clear();
    this.#partialResponses.clear();
    this.#bulkRequests.clear();
    this.#bulkAnswers.clear();
    this.#deadlines.clear();
    this.#bulk.clear();
    for (const call of outgoing) call.reject(reason);
    for (const call of incoming) {
      call.isAnswered = true;
      call.abort(reason);
    }
    this.#transport.close();
    this.#events.onClosed?.(reason);
  }

  #writeFrame(
    kind: FrameKind,
    flags: number,
    methodId: number,
    id: number,
    payload: Uint8Array,
  ): void {
    const transport = this.#transport;
    const start = transport.reserve(headerBytes + payload.byteLength);
    writeHeader(transport.view, start, payload.byteLength, kind, flags, methodId, id);
    transport.buffer.set(payload, start + headerBytes);
    transport.commit(start + headerBytes + payload.byteLength);
    this.#trace?.(">", kind, flags, methodId, id, payload.byteLength);
    this.#oweFlush();
  }

  // All frames of one turn go out in one write: at the end of the chunk that caused them, or else
  // in a microtask.
  #oweFlush(): void {
    if (this.#isFlushOwed) return;
    this.#isFlushOwed = true;
    if (!this.#isReceiving) queueMicrotask(this.#flushTask);
  }

  readonly #flushTask = (): void => {
    if (this.#isFlushOwed) this.#flush();
  };

  #flush(): void {
    this.#isFlushOwed = false;
    if (this.#closeReason !== undefined) return;
    this.#transport.flush();
    if (this.#bulk.count > 0) this.#bulk.pump();
  }

  get #trace(): ConnectionEvents["onFrame"] {
    return this.#events.onFrame;
  }
}

const noPayload = new Uint8Array(0);

function readU32(buffer: Uint8Array, at: number): number {
  return new DataView(buffer.buffer, buffer.byteOffset + at, 4).getUint32(0, true);
}

function readTotal(buffer: Uint8Array, from: number, to: number): number {
  if (to - from < 4) throw new PlugError("protocol_error", "a split message lacks its length");
  return readU32(buffer, from);
}

function unexpected(kind: string, id: number): PlugError {
  return new PlugError("protocol_error", `${kind} frame for request id ${id} is out of place`);
}

function callCancelled(): PlugError {
  return new PlugError("cancelled", "the caller gave the call up");
}

/** The error for a message over a limit. */
export function tooLarge(what: string, byteCount: number, maxMessageBytes: number): PlugError {
  return new PlugError(
    "resource_exhausted",
    `${what} has ${byteCount} bytes, more than maxMessageBytes ${maxMessageBytes}`,
  );
}

function asPlugError(error: unknown): PlugError {
  if (error instanceof PlugError) return error;
  return new PlugError("internal", error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}
