// Streams of calls that this side has placed: the caller's messages out, the peer's in.

import { noHeaders, type OutgoingCall } from "../call/outgoing-call.ts";
import { asPlugError, PlugError } from "../error/plug-error.ts";
import { FrameFlag, FrameKind } from "../frame/frame-header.ts";
import { MessageReceiver } from "../stream/message-receiver.ts";
import { MessageSender } from "../stream/message-sender.ts";
import type { PayloadReader } from "../stream/payload.ts";
import type { CallTable } from "./call-table.ts";
import { outOfPlace, readTotal, readU32Payload, tooLarge, u32Payload } from "./frame-input.ts";
import type { FrameOutlet } from "./frame-outlet.ts";
import { Reassembly } from "./reassembly.ts";
import { type StreamAccounts, streamOutlet } from "./streams.ts";

/** Gives calls up. */
export interface CallKeeper {
  abandon(call: OutgoingCall, error: PlugError): void;
}

export class OutgoingStreams {
  readonly #outlet: FrameOutlet;
  readonly #table: CallTable;
  readonly #accounts: StreamAccounts;
  readonly #maxMessageBytes: number;
  readonly #keeper: CallKeeper;
  // Messages that come in pieces.
  readonly #partialMessages = new Map<OutgoingCall, Reassembly>();

  constructor(
    outlet: FrameOutlet,
    table: CallTable,
    accounts: StreamAccounts,
    maxMessageBytes: number,
    keeper: CallKeeper,
  ) {
    this.#outlet = outlet;
    this.#table = table;
    this.#accounts = accounts;
    this.#maxMessageBytes = maxMessageBytes;
    this.#keeper = keeper;
  }

  /** Gives a call its halves, before it begins. */
  prepare(call: OutgoingCall, streamFlags: number, reader: PayloadReader<unknown>): void {
    call.streamFlags = streamFlags;
    const { sendPool, receivePool, windowBytes, peerWindowBytes, maxMessageBytes } = this.#accounts;
    if ((streamFlags & FrameFlag.ClientStreams) !== 0) {
      const outlet = streamOutlet(this.#outlet, 0, maxMessageBytes, (error) =>
        this.#keeper.abandon(call, error),
      );
      call.sender = new MessageSender(outlet, sendPool, peerWindowBytes);
    }
    if ((streamFlags & FrameFlag.ServerStreams) === 0) return;
    call.messageReader = reader;
    call.receiver = new MessageReceiver(
      {
        sendCredit: (byteCount) =>
          this.#outlet.write(FrameKind.Credit, 0, call.id, u32Payload(byteCount)),
        cancel: () => {
          this.#keeper.abandon(call, new PlugError("cancelled", `${call.name} was left`));
        },
      },
      receivePool,
      windowBytes,
    );
  }

  onMessage(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    const { receiver } = call;
    if (receiver === undefined || this.isInMessage(call)) throw outOfPlace("message", id);
    if (!call.isSettled) receiver.start(id, (flags & FrameFlag.More) !== 0);
    if ((flags & FrameFlag.More) === 0) {
      this.#deliver(call, buffer, from, to, false);
      return;
    }
    const totalBytes = readTotal(buffer, from, to);
    if (totalBytes > this.#maxMessageBytes) this.#refuse(call, totalBytes);
    const message = new Reassembly(totalBytes, call.isSettled, this.#accounts.partialBytes, -id);
    this.#partialMessages.set(call, message);
    message.add(buffer, from + 4, to, false);
    if (message.excess !== undefined) this.#keeper.abandon(call, message.excess);
  }

  /** The next piece of a message, for a call that {@link isInMessage}. */
  onPiece(call: OutgoingCall, buffer: Uint8Array, from: number, to: number, isLast: boolean): void {
    const message = this.#partialMessages.get(call) as Reassembly;
    message.add(buffer, from, to, isLast);
    if (message.excess !== undefined) this.#keeper.abandon(call, message.excess);
    if (!isLast) return;
    this.#partialMessages.delete(call);
    const bytes = message.take();
    if (bytes !== undefined) this.#deliver(call, bytes, 0, bytes.byteLength, true);
  }

  onCredit(id: number, buffer: Uint8Array, from: number, to: number): void {
    const call = this.#table.get(id);
    if (call.sender === undefined) throw outOfPlace("credit", id);
    const byteCount = readU32Payload("credit", buffer, from, to);
    if (!call.isSettled) call.sender.onCredit(byteCount);
  }

  /** A message has come in part. */
  isInMessage(call: OutgoingCall): boolean {
    return this.#partialMessages.size > 0 && this.#partialMessages.has(call);
  }

  /** Drops what has come of a message, and what will. */
  discard(call: OutgoingCall): void {
    this.#partialMessages.get(call)?.discard();
  }

  /** The peer has said its last word on the call. */
  forget(call: OutgoingCall): void {
    this.discard(call);
    this.#partialMessages.delete(call);
  }

  clear(): void {
    this.#partialMessages.clear();
  }

  #deliver(call: OutgoingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    if (call.isSettled) return;
    if (to - from > this.#maxMessageBytes) {
      this.#refuse(call, to - from);
      return;
    }
    try {
      const message = (call.messageReader as PayloadReader<unknown>).read(buffer, from, to, owned);
      if (!call.isHeaderTold) call.tellHeaders(noHeaders);
      call.receiver?.push(message, to - from);
    } catch (error) {
      this.#keeper.abandon(call, asPlugError(error));
    }
  }

  #refuse(call: OutgoingCall, byteCount: number): void {
    const error = tooLarge(`message of ${call.name}`, byteCount, this.#maxMessageBytes);
    this.#keeper.abandon(call, error);
  }
}
