// Streams of calls that the peer has placed: its messages in, the handler's out.

import type { IncomingCall } from "../call/incoming-call.ts";
import { asPlugError, type PlugError } from "../error/plug-error.ts";
import { FrameFlag, FrameKind } from "../frame/frame-header.ts";
import { MessageReceiver } from "../stream/message-receiver.ts";
import { MessageSender } from "../stream/message-sender.ts";
import type { PayloadReader } from "../stream/payload.ts";
import { outOfPlace, readTotal, readU32Payload, tooLarge, u32Payload } from "./frame-input.ts";
import type { FrameOutlet } from "./frame-outlet.ts";
import type { HeldCall, HeldCalls } from "./held-calls.ts";
import { Reassembly } from "./reassembly.ts";
import { type StreamAccounts, streamOutlet } from "./streams.ts";

/** Whom the streams tell what becomes of their calls. */
export interface StreamOwner {
  /** Answers for the handler. */
  giveUp(call: IncomingCall, reason: PlugError): void;
  /** Response headers go before the first message. */
  sendHeaders(call: IncomingCall): void;
}

export class IncomingStreams {
  readonly #outlet: FrameOutlet;
  readonly #held: HeldCalls;
  readonly #accounts: StreamAccounts;
  readonly #maxMessageBytes: number;
  readonly #owner: StreamOwner;

  constructor(
    outlet: FrameOutlet,
    held: HeldCalls,
    accounts: StreamAccounts,
    maxMessageBytes: number,
    owner: StreamOwner,
  ) {
    this.#outlet = outlet;
    this.#held = held;
    this.#accounts = accounts;
    this.#maxMessageBytes = maxMessageBytes;
    this.#owner = owner;
  }

  /** Gives a call that streams its sending half. */
  prepare(call: IncomingCall): void {
    call.isSourceEnded = (call.streamFlags & FrameFlag.ClientStreams) === 0;
    if ((call.streamFlags & FrameFlag.ServerStreams) === 0) return;
    const { sendPool, peerWindowBytes, maxMessageBytes } = this.#accounts;
    const outlet = streamOutlet(
      this.#outlet,
      FrameFlag.FromCallee,
      maxMessageBytes,
      (error) => this.#owner.giveUp(call, error),
      () => this.#owner.sendHeaders(call),
    );
    call.sender = new MessageSender(outlet, sendPool, peerWindowBytes);
    call.sender.open(call.id);
  }

  /** Its receiving half, once somebody wants it. */
  messages<T>(call: IncomingCall, reader: PayloadReader<T>): MessageReceiver<T> {
    const { receivePool, windowBytes } = this.#accounts;
    const receiver = new MessageReceiver<T>(
      {
        sendCredit: (byteCount) => {
          const payload = u32Payload(byteCount);
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
    const held = this.#openSource("message", id);
    const { call } = held;
    if (!call.isAnswered) call.receiver?.start(id, (flags & FrameFlag.More) !== 0);
    if ((flags & FrameFlag.More) === 0) {
      this.#deliver(call, buffer, from, to, false);
      return;
    }
    const totalBytes = readTotal(buffer, from, to);
    if (totalBytes > this.#maxMessageBytes) this.#refuse(call, totalBytes);
    held.message = new Reassembly(totalBytes, call.isAnswered, this.#accounts.partialBytes, id);
    held.message.add(buffer, from + 4, to, false);
    this.#checkExcess(held);
  }

  /** The next piece of a message. */
  onPiece(held: HeldCall, buffer: Uint8Array, from: number, to: number, isLast: boolean): void {
    const message = held.message as Reassembly;
    message.add(buffer, from, to, isLast);
    this.#checkExcess(held);
    if (!isLast) return;
    held.message = undefined;
    const bytes = message.take();
    if (bytes !== undefined) this.#deliver(held.call, bytes, 0, bytes.byteLength, true);
  }

  /** The caller sends no more messages. */
  onEnd(id: number): void {
    const held = this.#openSource("end", id);
    held.call.isSourceEnded = true;
    if (held.call.isAnswered) this.#held.settle(held);
    else held.call.receiver?.end();
  }

  onCredit(id: number, buffer: Uint8Array, from: number, to: number): void {
    const byteCount = readU32Payload("credit", buffer, from, to);
    const call = this.#held.get(id)?.call;
    // Else the answer has been sent already, and the two have crossed.
    if (call === undefined || call.isAnswered) return;
    if (call.sender === undefined) throw outOfPlace("credit", id);
    call.sender.onCredit(byteCount);
  }

  // A call whose caller has not said that it sends no more, and is not in the middle of a message.
  #openSource(kind: string, id: number): HeldCall {
    const held = this.#held.get(id);
    if (held === undefined || held.call.isSourceEnded || held.message !== undefined) {
      throw outOfPlace(kind, id);
    }
    return held;
  }

  #deliver(call: IncomingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    const { receiver, messageReader } = call;
    if (call.isAnswered || receiver === undefined || messageReader === undefined) return;
    if (to - from > this.#maxMessageBytes) {
      this.#refuse(call, to - from);
      return;
    }
    try {
      receiver.push(messageReader.read(buffer, from, to, owned), to - from);
    } catch (error) {
      this.#owner.giveUp(call, asPlugError(error));
    }
  }

  #checkExcess({ call, message }: HeldCall): void {
    const excess = message?.excess;
    if (excess !== undefined && !call.isAnswered) this.#owner.giveUp(call, excess);
  }

  #refuse(call: IncomingCall, byteCount: number): void {
    if (call.isAnswered) return;
    this.#owner.giveUp(call, tooLarge("message", byteCount, this.#maxMessageBytes));
  }
}
