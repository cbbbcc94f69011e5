// The caller's half of a connection: calls that this side has placed.

import type { ConnectionEvents } from "../call/client-connection.ts";
import type { Deadlines } from "../call/deadlines.ts";
import type { CallOwner, OutgoingCall } from "../call/outgoing-call.ts";
import { WaitingCalls } from "../call/place-call.ts";
import { MessageReceiver } from "../stream/message-receiver.ts";
import { MessageSender } from "../stream/message-sender.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";
import { asPlugError, PlugError } from "../error/plug-error.ts";
import { decodeError } from "../frame/error-payload.ts";
import { FrameFlag, FrameKind } from "../frame/frame-header.ts";
import type { BulkSend } from "./bulk-queue.ts";
import { CallTable } from "./call-table.ts";
import type { FrameOutlet } from "./frame-outlet.ts";
import { noPayload, outOfPlace, readTotal, tooLarge } from "./frame-input.ts";
import { Reassembly } from "./reassembly.ts";
import { creditPayload, readCredit, type StreamAccounts, streamOutlet } from "./streams.ts";

export interface OutgoingLimits {
  /** Largest request, by the lower limit of the two sides. */
  readonly maxRequestBytes: number;
  /** Largest response that this side accepts. */
  readonly maxResponseBytes: number;
  readonly maxInFlightCalls: number;
}

export class OutgoingCalls implements CallOwner {
  readonly #outlet: FrameOutlet;
  readonly #limits: OutgoingLimits;
  readonly #deadlines: Deadlines;
  readonly #events: ConnectionEvents;
  readonly #streams: StreamAccounts;
  // Calls whose id is taken: not answered yet, or given up and still to be answered.
  readonly #table = new CallTable();
  readonly #waiting = new WaitingCalls();
  #unsettledCount = 0;
  // Requests that are being sent in pieces, and answers that come in pieces.
  readonly #bulkRequests = new Map<OutgoingCall, BulkSend>();
  readonly #partialResponses = new Map<OutgoingCall, Reassembly>();
  // Messages of streams that come in pieces.
  readonly #partialMessages = new Map<OutgoingCall, Reassembly>();

  constructor(
    outlet: FrameOutlet,
    limits: OutgoingLimits,
    deadlines: Deadlines,
    events: ConnectionEvents,
    streams: StreamAccounts,
  ) {
    this.#streams = streams;
    this.#outlet = outlet;
    this.#limits = limits;
    this.#deadlines = deadlines;
    this.#events = events;
  }

  /** Calls that have not been settled. */
  get count(): number {
    return this.#unsettledCount;
  }

  /** Calls whose id is taken: those in flight, and those given up on which the peer owes a word. */
  get idCount(): number {
    return this.#table.count;
  }

  settled(): void {
    this.#unsettledCount -= 1;
    if (this.#unsettledCount === 0) this.#events.onIdle?.();
  }

  begin(call: OutgoingCall): void {
    this.#unsettledCount += 1;
    if (this.#unsettledCount === 1) this.#events.onBusy?.();
    if (call.hasDeadline) this.#deadlines.add(call);
    if (this.#table.count < this.#limits.maxInFlightCalls) {
      this.#send(call);
    } else {
      this.#waiting.add(call);
    }
  }

  abandon(call: OutgoingCall, error: PlugError): void {
    if (call.isSettled) return;
    this.#deadlines.remove(call);
    call.reject(error);
    if (call.id === 0) {
      this.#waiting.remove(call);
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
    this.#partialMessages.get(call)?.discard();
    // The id is taken until the peer has said its last word on it.
    this.#outlet.write(FrameKind.Cancel, 0, call.id, noPayload);
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
    if (this.#partialMessages.size > 0 && this.#partialMessages.has(call)) {
      throw outOfPlace("response", id);
    }
    if ((flags & FrameFlag.More) === 0) {
      this.#deliver(call, buffer, from, to, false);
      return;
    }
    const totalBytes = readTotal(buffer, from, to);
    const { maxResponseBytes } = this.#limits;
    if (totalBytes > maxResponseBytes) {
      this.#deadlines.remove(call);
      call.reject(tooLarge(`response of ${call.name}`, totalBytes, maxResponseBytes));
    }
    this.#partialResponses.set(call, new Reassembly(totalBytes, call.isSettled));
    this.onResponsePiece(flags, id, buffer, from + 4, to);
  }

  onResponsePiece(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    const isLast = (flags & FrameFlag.More) === 0;
    const message = this.#partialMessages.get(call);
    if (message !== undefined) {
      message.add(buffer, from, to, isLast);
      if (!isLast) return;
      this.#partialMessages.delete(call);
      const bytes = message.take();
      if (bytes !== undefined) this.#deliverMessage(call, bytes, 0, bytes.byteLength, true);
      return;
    }
    const response = this.#partialResponses.get(call);
    if (response === undefined) throw outOfPlace("continue", id);
    response.add(buffer, from, to, isLast);
    if (!isLast) return;
    this.#partialResponses.delete(call);
    const bytes = response.take();
    if (bytes === undefined) this.#finish(call);
    else this.#deliver(call, bytes, 0, bytes.byteLength, true);
  }

  onError(id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    const bulk = this.#bulkRequests.get(call);
    if (bulk !== undefined) {
      // Answered before it was asked in full, so the peer is still expecting the rest.
      this.#stopBulk(call, bulk);
      this.#outlet.write(FrameKind.Cancel, 0, id, noPayload);
    }
    this.#partialResponses.delete(call);
    this.#endSource(call);
    if (!call.isSettled) call.reject(decodeError(buffer.subarray(from, to)));
    this.#finish(call);
  }

  /** Every call settles with the reason. */
  rejectAll(reason: PlugError): void {
    this.#partialResponses.clear();
    this.#bulkRequests.clear();
    this.#partialMessages.clear();
    for (const call of [...this.#table.takeAll(), ...this.#waiting.takeAll()]) call.reject(reason);
  }

  #send(call: OutgoingCall): void {
    const { writer, value } = call;
    try {
      const byteCount = writer.size(value);
      const { maxRequestBytes } = this.#limits;
      if (byteCount > maxRequestBytes) {
        throw tooLarge(`request of ${call.name}`, byteCount, maxRequestBytes);
      }
      this.#table.add(call);
      call.value = undefined;
      this.#write(call, writer, value, byteCount);
      call.sender?.open(call.id);
    } catch (error) {
      if (call.id !== 0) this.#table.remove(call);
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
    const { id, deadlineAt, hasDeadline } = call;
    const { methodId } = call.route;
    const kind = FrameKind.Request;
    const flags = call.streamFlags;
    if (this.#outlet.fits(byteCount, hasDeadline)) {
      this.#outlet.writeMessage(kind, flags, methodId, id, deadlineAt, writer, value, byteCount);
      return;
    }
    const message = { kind, flags, methodId, requestId: id, deadlineAt };
    const bulk = this.#outlet.writeInPieces(message, writer, value, byteCount, () =>
      this.#bulkRequests.delete(call),
    );
    this.#bulkRequests.set(call, bulk);
  }

  #stopBulk(call: OutgoingCall, bulk: BulkSend): void {
    this.#outlet.stop(bulk);
    this.#bulkRequests.delete(call);
  }

  /** Prepares a call that streams, before it begins. */
  prepareStream(call: OutgoingCall, streamFlags: number, reader: PayloadReader<unknown>): void {
    call.streamFlags = streamFlags;
    if ((streamFlags & FrameFlag.ClientStreams) !== 0) {
      call.sender = new MessageSender(
        streamOutlet(this.#outlet, 0, this.#streams.maxMessageBytes),
        this.#streams.sendPool,
        this.#streams.peerWindowBytes,
      );
    }
    if ((streamFlags & FrameFlag.ServerStreams) !== 0) {
      call.messageReader = reader;
      call.receiver = new MessageReceiver(
        {
          sendCredit: (byteCount) =>
            this.#outlet.write(FrameKind.Credit, 0, call.id, creditPayload(byteCount)),
          cancel: () => this.abandon(call, new PlugError("cancelled", `${call.name} was left`)),
        },
        this.#streams.receivePool,
        this.#streams.windowBytes,
      );
    }
  }

  onMessage(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    const { receiver } = call;
    if (receiver === undefined || this.#partialMessages.has(call)) throw outOfPlace("message", id);
    if (!call.isSettled) receiver.start(id, (flags & FrameFlag.More) !== 0);
    if ((flags & FrameFlag.More) === 0) {
      this.#deliverMessage(call, buffer, from, to, false);
      return;
    }
    const totalBytes = readTotal(buffer, from, to);
    const { maxResponseBytes } = this.#limits;
    if (totalBytes > maxResponseBytes) {
      this.abandon(call, tooLarge(`message of ${call.name}`, totalBytes, maxResponseBytes));
    }
    const message = new Reassembly(totalBytes, call.isSettled);
    this.#partialMessages.set(call, message);
    message.add(buffer, from + 4, to, false);
  }

  onCredit(id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    if (call.sender === undefined) throw outOfPlace("credit", id);
    if (!call.isSettled) call.sender.onCredit(readCredit(buffer, from, to));
  }

  #deliverMessage(
    call: OutgoingCall,
    buffer: Uint8Array,
    from: number,
    to: number,
    owned: boolean,
  ): void {
    if (call.isSettled) return;
    try {
      const { maxResponseBytes } = this.#limits;
      if (to - from > maxResponseBytes) {
        throw tooLarge(`message of ${call.name}`, to - from, maxResponseBytes);
      }
      const reader = call.messageReader as PayloadReader<unknown>;
      call.receiver?.push(reader.read(buffer, from, to, owned), to - from);
    } catch (error) {
      this.abandon(call, asPlugError(error));
    }
  }

  // The callee has said its last word, and expects to hear that no more messages come.
  #endSource(call: OutgoingCall): void {
    if (call.sender === undefined || call.isSettled || call.sender.isEnded) return;
    this.#outlet.write(FrameKind.Cancel, 0, call.id, noPayload);
  }

  #deliver(call: OutgoingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    this.#endSource(call);
    if (!call.isSettled) {
      try {
        const { maxResponseBytes } = this.#limits;
        if (to - from > maxResponseBytes) {
          throw tooLarge(`response of ${call.name}`, to - from, maxResponseBytes);
        }
        call.resolve(call.reader.read(buffer, from, to, owned));
      } catch (error) {
        call.reject(asPlugError(error));
      }
    }
    this.#finish(call);
  }

  // The peer has said its last word on the call.
  #finish(call: OutgoingCall): void {
    this.#deadlines.remove(call);
    if (call.streamFlags !== 0) this.#partialMessages.delete(call);
    this.#table.remove(call);
    // More than one may start: one that cannot be encoded does not use the place that came free.
    while (this.#waiting.count > 0 && this.#table.count < this.#limits.maxInFlightCalls) {
      this.#send(this.#waiting.take() as OutgoingCall);
    }
  }
}
