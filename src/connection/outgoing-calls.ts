// The caller's half of a connection: calls that this side has placed.

import type { ConnectionEvents } from "../call/client-connection.ts";
import type { Deadlines } from "../call/deadlines.ts";
import type { OutgoingCall } from "../call/outgoing-call.ts";
import { WaitingCalls } from "../call/place-call.ts";
import type { PayloadWriter } from "../stream/payload.ts";
import { asPlugError, PlugError } from "../error/plug-error.ts";
import { CallClass, allowanceNames } from "../call/limits.ts";
import { decodeError } from "../frame/error-payload.ts";
import { firstObjectMethodId, FrameFlag, FrameKind } from "../frame/frame-header.ts";
import { decodeMetadata, metadataTooLarge } from "../metadata/metadata-block.ts";
import type { BulkSend } from "./bulk-queue.ts";
import { CallTable } from "./call-table.ts";
import type { FrameOutlet } from "./frame-outlet.ts";
import {
  metadataEnd,
  noPayload,
  outOfPlace,
  readMetadata,
  readTotal,
  tooLarge,
} from "./frame-input.ts";
import type { PartialBytes } from "./partial-bytes.ts";
import { Reassembly } from "./reassembly.ts";
import { requestPreface } from "./request-preface.ts";
import { OutgoingStreams } from "./outgoing-streams.ts";
import type { StreamAccounts } from "./streams.ts";

export interface OutgoingOptions {
  /** Largest request, by the lower limit of the two sides. */
  readonly maxRequestBytes: number;
  /** Largest response that this side accepts. */
  readonly maxResponseBytes: number;
  /** Longest headers that the peer accepts, and that this side does. */
  readonly maxSentHeaderBytes: number;
  readonly maxHeaderBytes: number;
  /** Calls that both sides accept at once, by class. */
  readonly allowances: readonly number[];
}

export class OutgoingCalls {
  readonly #outlet: FrameOutlet;
  readonly #options: OutgoingOptions;
  readonly #deadlines: Deadlines;
  readonly #events: ConnectionEvents;
  readonly #partialBytes: PartialBytes;
  // Calls whose id is taken: not answered yet, or given up and still to be answered.
  readonly #table = new CallTable();
  // Of those, how many by class; and who waits for a place. Nested calls never wait.
  readonly #takenCounts = [0, 0, 0];
  readonly #waiting = [new WaitingCalls(), new WaitingCalls()];
  #unsettledCount = 0;
  // Requests that are being sent in pieces, and answers that come in pieces.
  readonly #bulkRequests = new Map<OutgoingCall, BulkSend>();
  readonly #partialResponses = new Map<OutgoingCall, Reassembly>();
  /** What of calls are streams. */
  readonly streams: OutgoingStreams;

  constructor(
    outlet: FrameOutlet,
    options: OutgoingOptions,
    deadlines: Deadlines,
    events: ConnectionEvents,
    streams: StreamAccounts,
  ) {
    this.#outlet = outlet;
    this.#options = options;
    this.#deadlines = deadlines;
    this.#events = events;
    this.#partialBytes = streams.partialBytes;
    this.streams = new OutgoingStreams(
      outlet,
      this.#table,
      streams,
      options.maxResponseBytes,
      this,
    );
  }

  /** Calls that have not been settled. */
  get count(): number {
    return this.#unsettledCount;
  }

  /** Calls whose id is taken: those in flight, and those given up on which the peer owes a word. */
  get idCount(): number {
    return this.#table.count;
  }

  /** Told, as the connection's events are, when the last call has settled. */
  onIdle: (() => void) | undefined;

  settled(): void {
    this.#unsettledCount -= 1;
    if (this.#unsettledCount > 0) return;
    this.#events.onIdle?.();
    this.onIdle?.();
  }

  begin(call: OutgoingCall): void {
    this.#unsettledCount += 1;
    if (this.#unsettledCount === 1) this.#events.onBusy?.();
    if (call.hasDeadline) this.#deadlines.add(call);
    try {
      call.preface = requestPreface(call, this.#options.maxSentHeaderBytes);
    } catch (error) {
      this.#deadlines.remove(call);
      call.reject(asPlugError(error));
      return;
    }
    if (this.#hasPlace(call.callClass)) this.#send(call);
    else if (call.callClass === CallClass.Nested) this.#refuseNested(call);
    else this.#waiting[call.callClass]?.add(call);
  }

  abandon(call: OutgoingCall, error: PlugError): void {
    if (call.isSettled) return;
    this.#deadlines.remove(call);
    call.reject(error);
    if (call.id === 0) {
      this.#waiting[call.callClass]?.remove(call);
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
    this.streams.discard(call);
    // The id is taken until the peer has said its last word on it.
    call.isCancelled = true;
    this.#outlet.write(FrameKind.Cancel, 0, call.id, noPayload);
  }

  /** Metadata that comes before the first message or the response. */
  onHeaders(id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    const isLate = call.isHeaderTold || this.streams.isInMessage(call);
    if (isLate || this.#partialResponses.has(call)) {
      throw outOfPlace("headers", id);
    }
    const { maxHeaderBytes } = this.#options;
    if (to - from > maxHeaderBytes) {
      const what = `response headers of ${call.name}`;
      this.abandon(call, metadataTooLarge(what, to - from, maxHeaderBytes));
      return;
    }
    const headers = decodeMetadata(buffer, from, to);
    this.#tell(call, () => call.tellHeaders(() => headers));
  }

  onResponse(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    // Not twice, and not before the whole request was sent.
    if (this.#partialResponses.size > 0 && this.#partialResponses.has(call)) {
      throw outOfPlace("response", id);
    }
    if (this.#bulkRequests.size > 0 && this.#bulkRequests.has(call)) {
      throw outOfPlace("response", id);
    }
    if (this.streams.isInMessage(call)) throw outOfPlace("response", id);
    let totalBytes = 0;
    if ((flags & FrameFlag.More) !== 0) {
      totalBytes = readTotal(buffer, from, to);
      from += 4;
    }
    if ((flags & FrameFlag.Metadata) !== 0) from = this.#readTrailers(call, buffer, from, to);
    if (call.receiver !== undefined && from < to) throw outOfPlace("response with a message", id);
    if ((flags & FrameFlag.More) === 0) {
      this.#deliver(call, buffer, from, to, false);
      return;
    }
    const { maxResponseBytes } = this.#options;
    if (totalBytes > maxResponseBytes) {
      this.#reject(call, tooLarge(`response of ${call.name}`, totalBytes, maxResponseBytes));
    }
    const response = new Reassembly(totalBytes, call.isSettled, this.#partialBytes, -id);
    this.#partialResponses.set(call, response);
    this.onResponsePiece(flags, id, buffer, from, to);
  }

  onResponsePiece(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    const isLast = (flags & FrameFlag.More) === 0;
    if (this.streams.isInMessage(call)) {
      this.streams.onPiece(call, buffer, from, to, isLast);
      return;
    }
    const response = this.#partialResponses.get(call);
    if (response === undefined) throw outOfPlace("continue", id);
    response.add(buffer, from, to, isLast);
    if (response.excess !== undefined) this.#reject(call, response.excess);
    if (!isLast) return;
    this.#partialResponses.delete(call);
    const bytes = response.take();
    if (bytes === undefined) this.#finish(call);
    else this.#deliver(call, bytes, 0, bytes.byteLength, true);
  }

  onError(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    if ((flags & FrameFlag.Metadata) !== 0) from = this.#readTrailers(call, buffer, from, to);
    const bulk = this.#bulkRequests.get(call);
    if (bulk !== undefined) {
      // Answered before it was asked in full, so the peer is still expecting the rest.
      this.#stopBulk(call, bulk);
      this.#outlet.write(FrameKind.Cancel, 0, id, noPayload);
    }
    this.#partialResponses.get(call)?.discard();
    this.#partialResponses.delete(call);
    this.#endSource(call);
    if (!call.isSettled) {
      const error = decodeError(buffer.subarray(from, to));
      this.#tell(call, () => call.tellMetadata());
      call.reject(error);
    }
    this.#finish(call);
  }

  /** Every call settles with the reason. */
  rejectAll(reason: PlugError): void {
    this.#partialResponses.clear();
    this.#bulkRequests.clear();
    this.streams.clear();
    this.#takenCounts.fill(0);
    const waiting = this.#waiting.flatMap((calls) => calls.takeAll());
    for (const call of [...this.#table.takeAll(), ...waiting]) call.reject(reason);
  }

  /** Calls of which nothing has been sent settle with the reason, unless they are nested. */
  rejectWaiting(reason: PlugError): void {
    for (const call of this.#waiting.flatMap((calls) => calls.takeAll())) {
      this.#deadlines.remove(call);
      call.reject(reason);
    }
    for (const [call, bulk] of [...this.#bulkRequests]) {
      if (bulk.sentBytes === 0 && call.callClass !== CallClass.Nested) this.abandon(call, reason);
    }
  }

  #hasPlace(callClass: CallClass): boolean {
    const taken = this.#takenCounts[callClass] as number;
    return taken < (this.#options.allowances[callClass] as number);
  }

  #refuseNested(call: OutgoingCall): void {
    const limit = this.#options.allowances[CallClass.Nested] as number;
    this.#deadlines.remove(call);
    call.reject(
      new PlugError(
        "resource_exhausted",
        `${call.name} is one more than ${allowanceNames[CallClass.Nested]} ${limit}`,
      ),
    );
  }

  #readTrailers(call: OutgoingCall, buffer: Uint8Array, from: number, to: number): number {
    const end = metadataEnd(buffer, from, to);
    if (call.isSettled) return end;
    const { maxHeaderBytes } = this.#options;
    const byteCount = end - from - 4;
    if (byteCount <= maxHeaderBytes) {
      call.trailers = readMetadata(buffer, from, end);
    } else {
      this.#reject(call, metadataTooLarge(`trailers of ${call.name}`, byteCount, maxHeaderBytes));
    }
    return end;
  }

  // The peer will still say its last word.
  #reject(call: OutgoingCall, reason: PlugError): void {
    this.#deadlines.remove(call);
    call.reject(reason);
  }

  // What a caller's callback throws is the end of its call, and of nothing else.
  #tell(call: OutgoingCall, tell: () => void): void {
    if (call.isSettled) return;
    try {
      tell();
    } catch (error) {
      this.abandon(call, asPlugError(error));
    }
  }

  #send(call: OutgoingCall): void {
    const { writer, value } = call;
    try {
      const byteCount = writer.size(value);
      const { maxRequestBytes } = this.#options;
      if (byteCount > maxRequestBytes) {
        throw tooLarge(`request of ${call.name}`, byteCount, maxRequestBytes);
      }
      this.#table.add(call);
      this.#takenCounts[call.callClass] = (this.#takenCounts[call.callClass] as number) + 1;
      call.value = undefined;
      this.#write(call, writer, value, byteCount);
      call.sender?.open(call.id);
    } catch (error) {
      if (call.id !== 0) this.#free(call);
      this.#deadlines.remove(call);
      call.reject(asPlugError(error));
    }
  }

  #write(
    call: OutgoingCall,
    writer: PayloadWriter<unknown>,
    value: unknown,
    byteCount: number,
  ): void {
    const { id, deadlineAt, hasDeadline, preface } = call;
    const { objectId } = call.route;
    const methodId =
      objectId === 0 ? call.route.methodId : call.route.methodId | firstObjectMethodId;
    const kind = FrameKind.Request;
    let flags = call.streamFlags;
    if (call.isNested) flags |= FrameFlag.Nested;
    if (call.hasHeaders) flags |= FrameFlag.Metadata;
    if (this.#outlet.fits(byteCount, hasDeadline, preface)) {
      this.#outlet.writeMessage(
        kind,
        flags,
        methodId,
        id,
        deadlineAt,
        preface,
        writer,
        value,
        byteCount,
      );
      return;
    }
    const message = { kind, flags, methodId, requestId: id, deadlineAt, preface };
    const bulk = this.#outlet.writeInPieces(
      message,
      writer,
      value,
      byteCount,
      () => this.#bulkRequests.delete(call),
      (error) => this.abandon(call, error),
    );
    this.#bulkRequests.set(call, bulk);
  }

  #stopBulk(call: OutgoingCall, bulk: BulkSend): void {
    this.#outlet.stop(bulk);
    this.#bulkRequests.delete(call);
  }

  // The callee has said its last word, and expects to hear that no more messages come.
  #endSource(call: OutgoingCall): void {
    if (call.sender === undefined || call.sender.isEnded || call.isCancelled) return;
    this.#outlet.write(FrameKind.Cancel, 0, call.id, noPayload);
  }

  #deliver(call: OutgoingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    this.#endSource(call);
    if (!call.isSettled) {
      try {
        const { maxResponseBytes } = this.#options;
        if (to - from > maxResponseBytes) {
          throw tooLarge(`response of ${call.name}`, to - from, maxResponseBytes);
        }
        const response = call.reader.read(buffer, from, to, owned);
        // Most calls have no terms, and nothing to be told.
        if (call.terms !== undefined) call.tellMetadata();
        call.resolve(response);
      } catch (error) {
        call.reject(asPlugError(error));
      }
    }
    this.#finish(call);
  }

  // The peer has said its last word on the call.
  #finish(call: OutgoingCall): void {
    this.#deadlines.remove(call);
    if (call.streamFlags !== 0) this.streams.forget(call);
    this.#free(call);
    const waiting = this.#waiting[call.callClass];
    if (waiting === undefined) return;
    // More than one may start: one that cannot be encoded does not use the place that came free.
    while (waiting.count > 0 && this.#hasPlace(call.callClass)) {
      this.#send(waiting.take() as OutgoingCall);
    }
  }

  #free(call: OutgoingCall): void {
    // The connection may have been closed by what a caller's callback did.
    if (!this.#table.remove(call)) return;
    this.#takenCounts[call.callClass] = (this.#takenCounts[call.callClass] as number) - 1;
  }
}
