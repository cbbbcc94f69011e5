// Wire 2: any number of calls at once over one transport, both ways. The same code on both sides.
//
// Sorts frames to its two halves, and ends. Knows nothing of messages (see stream/payload.ts) or
// processes. Every call settles: by its answer, by being given up, or by the connection's end,
// whichever comes first.

import type {
  ClientConnection,
  ConnectionEvents,
  OpenedStream,
} from "../call/client-connection.ts";
import { Deadlines } from "../call/deadlines.ts";
import type { CallHandler } from "../call/incoming-call.ts";
import type { Limits } from "../call/limits.ts";
import type { CallTerms, OutgoingCall, Route } from "../call/outgoing-call.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";
import { type CallStarter, placeCall, placeStream } from "../call/place-call.ts";
import { asPlugError, PlugError } from "../error/plug-error.ts";
import { FrameFlag, FrameKind, kindName } from "../frame/frame-header.ts";
import { FrameReader, type FrameSink } from "../frame/frame-reader.ts";
import type { Receiver, Transport } from "../transport/transport.ts";
import { maxFramePayloadBytes } from "./bulk-queue.ts";
import { FrameOutlet } from "./frame-outlet.ts";
import { IncomingCalls } from "./incoming-calls.ts";
import { OutgoingCalls } from "./outgoing-calls.ts";
import { CreditPool, SendPool } from "../stream/credit.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { StreamAccounts } from "./streams.ts";

export interface ConnectionOptions {
  readonly transport: Transport;
  /** What this side accepts. */
  readonly limits: Limits;
  /** What the peer accepts. */
  readonly peerLimits: Limits;
  /** Answers the peer's calls. Without it a call ends the connection with `protocol_error`. */
  readonly handler?: CallHandler | undefined;
  readonly events?: ConnectionEvents | undefined;
}

export class Connection implements ClientConnection, CallStarter, Receiver, FrameSink {
  readonly #transport: Transport;
  readonly #events: ConnectionEvents;
  readonly #reader: FrameReader;
  readonly #outlet: FrameOutlet;
  readonly #deadlines = new Deadlines();
  readonly #outgoing: OutgoingCalls;
  readonly #incoming: IncomingCalls;
  readonly #streams: StreamAccounts;
  #closeReason: PlugError | undefined;

  constructor({ transport, limits, peerLimits, handler, events = {} }: ConnectionOptions) {
    const streams: StreamAccounts = {
      sendPool: new SendPool(peerLimits.connectionWindowBytes),
      receivePool: new CreditPool(limits.connectionWindowBytes),
      windowBytes: limits.streamWindowBytes,
      peerWindowBytes: peerLimits.streamWindowBytes,
      maxMessageBytes: Math.min(limits.maxMessageBytes, peerLimits.maxMessageBytes),
    };
    this.#streams = streams;
    this.#transport = transport;
    this.#events = events;
    this.#reader = new FrameReader(maxFramePayloadBytes, this);
    this.#outlet = new FrameOutlet(transport, events.onFrame);
    const maxSentBytes = Math.min(limits.maxMessageBytes, peerLimits.maxMessageBytes);
    this.#outgoing = new OutgoingCalls(
      this.#outlet,
      {
        maxRequestBytes: maxSentBytes,
        maxResponseBytes: limits.maxMessageBytes,
        maxInFlightCalls: Math.min(limits.maxInFlightCalls, peerLimits.maxInFlightCalls),
      },
      this.#deadlines,
      events,
      streams,
    );
    this.#incoming = new IncomingCalls(
      this.#outlet,
      {
        maxRequestBytes: limits.maxMessageBytes,
        maxResponseBytes: maxSentBytes,
        maxInFlightCalls: limits.maxInFlightCalls,
      },
      this.#deadlines,
      handler,
      streams,
    );
  }

  /** Starts to take frames from the transport. */
  start(): void {
    this.#transport.start(this);
  }

  get inFlightCount(): number {
    return this.#outgoing.count;
  }

  /** Calls whose request id is taken: also those given up, until the peer's last word on them. */
  get idCount(): number {
    return this.#outgoing.idCount;
  }

  /** Calls of the peer that have not been answered. */
  get incomingCount(): number {
    return this.#incoming.count;
  }

  /** Calls, of either side, whose deadline is being watched. */
  get deadlineCount(): number {
    return this.#deadlines.count;
  }

  get closeReason(): PlugError | undefined {
    return this.#closeReason;
  }

  call<T, R>(
    route: Route,
    writer: PayloadWriter<T>,
    value: T,
    reader: PayloadReader<R>,
    terms?: CallTerms,
  ): Promise<R> {
    return placeCall(this, route, writer, value, reader, terms);
  }

  openStream<T, R, M>(
    route: Route,
    streamFlags: number,
    writer: PayloadWriter<T>,
    value: T,
    responseReader: PayloadReader<R>,
    messageReader: PayloadReader<M>,
    terms?: CallTerms,
  ): OpenedStream<R, M> {
    const { call, response } = placeStream(
      this,
      route,
      writer,
      value,
      responseReader,
      terms,
      (prepared) => this.#outgoing.prepareStream(prepared, streamFlags, messageReader),
    );
    return {
      sender: call.sender,
      receiver: call.receiver as MessageReceiver<M> | undefined,
      response,
      abandon: (error) => this.abandon(call, error),
    };
  }

  /** What the streams of this connection have outstanding, in bytes, for tests and stats. */
  get outstandingBytes(): { readonly sent: number; readonly received: number } {
    const { sendPool, receivePool } = this.#streams;
    return { sent: sendPool.outstandingBytes, received: receivePool.outstandingBytes };
  }

  refusal(): PlugError | undefined {
    return this.#closeReason;
  }

  begin(call: OutgoingCall): void {
    this.#outgoing.begin(call);
  }

  abandon(call: OutgoingCall, error: PlugError): void {
    this.#outgoing.abandon(call, error);
  }

  settled(): void {
    this.#outgoing.settled();
  }

  receive(chunk: Uint8Array, from: number, to: number): void {
    if (this.#closeReason !== undefined) return;
    this.#outlet.startBatch();
    try {
      this.#reader.push(chunk, from, to);
    } catch (error) {
      this.close(asPlugError(error));
    }
    this.#outlet.endBatch();
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
    this.#events.onFrame?.("<", kind, flags, methodId, requestId, to - from);
    switch (kind) {
      case FrameKind.Request:
        this.#incoming.onRequest(flags, methodId, requestId, buffer, from, to);
        return;
      case FrameKind.Response:
        this.#outgoing.onResponse(flags, requestId, buffer, from, to);
        return;
      case FrameKind.Error:
        this.#outgoing.onError(requestId, buffer, from, to);
        return;
      case FrameKind.Continue:
        if ((flags & FrameFlag.FromCallee) === 0) {
          this.#incoming.onRequestPiece(flags, requestId, buffer, from, to);
        } else {
          this.#outgoing.onResponsePiece(flags, requestId, buffer, from, to);
        }
        return;
      case FrameKind.Cancel:
        this.#incoming.onCancel(requestId);
        return;
      case FrameKind.Message:
        this.#halfOf(flags).onMessage(flags, requestId, buffer, from, to);
        return;
      case FrameKind.End:
        this.#incoming.onEnd(requestId);
        return;
      case FrameKind.Credit:
        this.#halfOf(flags).onCredit(requestId, buffer, from, to);
        return;
      default:
        throw new PlugError("protocol_error", `${kindName(kind)} frame is not expected here`);
    }
  }

  // The half whose request ids a frame means.
  #halfOf(flags: number): IncomingCalls | OutgoingCalls {
    return (flags & FrameFlag.FromCallee) === 0 ? this.#incoming : this.#outgoing;
  }

  writable(): void {
    this.#outlet.pump();
  }

  ended(cause?: Error): void {
    if (this.#events.onEnded !== undefined) this.#events.onEnded(cause);
    else this.close(new PlugError("unavailable", "the connection has ended", { cause }));
  }

  close(reason: PlugError, callReason = reason): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason;
    // Calls before transport: no promise may outlive the connection, even if closing fails.
    this.#deadlines.clear();
    this.#outlet.close();
    this.#outgoing.rejectAll(callReason);
    this.#incoming.abortAll(reason);
    this.#transport.close();
    this.#events.onClosed?.(reason);
  }
}
