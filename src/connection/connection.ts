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
import type { CallHandler, DescribedService, ReferenceEvents } from "../call/incoming-call.ts";
import { allowances, type Limits, maxHeldBytes } from "../call/limits.ts";
import type { CallTerms, OutgoingCall, ParentCall, Route } from "../call/outgoing-call.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";
import { type CallStarter, placeCall, placeStream } from "../call/place-call.ts";
import { asPlugError, PlugError } from "../error/plug-error.ts";
import { decodeError, encodeError } from "../frame/error-payload.ts";
import { FrameFlag, FrameKind, kindName } from "../frame/frame-header.ts";
import { FrameReader, type FrameSink } from "../frame/frame-reader.ts";
import type { Receiver, Transport } from "../transport/transport.ts";
import { maxFramePayloadBytes } from "./bulk-queue.ts";
import { FrameOutlet } from "./frame-outlet.ts";
import { IdleWatch } from "./idle-watch.ts";
import { IncomingCalls } from "./incoming-calls.ts";
import {
  describedPayload,
  noPayload,
  readDescribed,
  readU32Payload,
  u32Payload,
} from "./frame-input.ts";
import { OutgoingCalls } from "./outgoing-calls.ts";
import type { OutgoingStreams } from "./outgoing-streams.ts";
import { PartialBytes } from "./partial-bytes.ts";
import { Pings } from "./pings.ts";
import { CreditPool, SendPool } from "../stream/credit.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { StreamAccounts } from "./streams.ts";

export interface ConnectionOptions {
  readonly transport: Transport;
  /** What this side accepts. */
  readonly limits: Limits;
  /** What the peer accepts. */
  readonly peerLimits: Limits;
  /** Answers the peer's calls. Without it they fail with `unimplemented`. */
  readonly handler?: CallHandler | undefined;
  readonly references?: ReferenceEvents | undefined;
  /** Errors of handlers go out with their stack. @defaultValue false */
  readonly exposeStack?: boolean | undefined;
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
  readonly #references: ReferenceEvents | undefined;
  readonly #pings = new Pings();
  #closeReason: PlugError | undefined;
  // Why the peer takes no new calls.
  #peerDrainReason: PlugError | undefined;
  #isDraining = false;
  readonly #idleWatch: IdleWatch;

  constructor(options: ConnectionOptions) {
    const { transport, limits, peerLimits, handler, events = {} } = options;
    const maxMessageBytes = Math.min(limits.maxMessageBytes, peerLimits.maxMessageBytes);
    const maxMetadataBytes = Math.min(limits.maxMetadataBytes, peerLimits.maxMetadataBytes);
    const streams: StreamAccounts = {
      sendPool: new SendPool(peerLimits.connectionWindowBytes),
      receivePool: new CreditPool(limits.connectionWindowBytes),
      windowBytes: limits.streamWindowBytes,
      peerWindowBytes: peerLimits.streamWindowBytes,
      partialBytes: new PartialBytes(maxHeldBytes(limits)),
      maxMessageBytes,
    };
    this.#references = options.references;
    this.#streams = streams;
    this.#transport = transport;
    this.#events = events;
    this.#reader = new FrameReader(maxFramePayloadBytes, this, streams.partialBytes);
    this.#outlet = new FrameOutlet(transport, events.onFrame, maxHeldBytes(limits));
    this.#outgoing = new OutgoingCalls(
      this.#outlet,
      {
        maxRequestBytes: maxMessageBytes,
        maxResponseBytes: limits.maxMessageBytes,
        maxSentHeaderBytes: maxMetadataBytes,
        maxHeaderBytes: limits.maxMetadataBytes,
        allowances: allowances(limits, peerLimits),
      },
      this.#deadlines,
      events,
      streams,
    );
    this.#incoming = new IncomingCalls(
      this.#outlet,
      {
        maxRequestBytes: limits.maxMessageBytes,
        maxResponseBytes: maxMessageBytes,
        maxHeaderBytes: limits.maxMetadataBytes,
        maxSentHeaderBytes: maxMetadataBytes,
        allowances: allowances(limits),
        exposeStack: options.exposeStack ?? false,
      },
      this.#deadlines,
      handler,
      streams,
    );
    this.#idleWatch = new IdleWatch([this.#incoming, this.#outgoing], transport);
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

  /** Deadlines of calls of either side that are being watched. */
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

  flush(): void {
    this.#outlet.flush();
  }

  get isReceiving(): boolean {
    return this.#outlet.isBatching;
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
      (prepared) => this.#outgoing.streams.prepare(prepared, streamFlags, messageReader),
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

  refusal(isNested: boolean): PlugError | undefined {
    if (this.#closeReason !== undefined) return this.#closeReason;
    return isNested ? undefined : this.#peerDrainReason;
  }

  /** Resolves when the peer has answered: its event loop turns, and the way there is clear. */
  ping(): Promise<void> {
    if (this.#closeReason !== undefined) return Promise.reject(this.#closeReason);
    try {
      const { id, answered } = this.#pings.add();
      this.#outlet.write(FrameKind.Ping, 0, id, noPayload);
      return answered;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Takes no new calls of the peer from now on, but for those that are made for calls in flight,
   * and says so: it fails them with `draining`. Calls of this side go on.
   */
  drain(reason: PlugError): void {
    if (this.#closeReason !== undefined || this.#isDraining) return;
    this.#isDraining = true;
    this.#incoming.drain(reason);
    this.#outlet.write(FrameKind.GoAway, 0, 0, encodeError(reason, "runtime"));
  }

  idle(): Promise<void> {
    return this.#idleWatch.idle();
  }

  /**
   * Tells the methods of a service, before a message goes out that has a reference of it.
   *
   * @throws {PlugError} `resource_exhausted`: they do not fit into a frame.
   */
  describe(service: DescribedService): void {
    this.#outlet.write(FrameKind.Service, 0, 0, describedPayload(service));
  }

  /** Says that an object of the peer is not referred to any more. */
  release(objectId: number): void {
    this.#outlet.write(FrameKind.Release, 0, 0, u32Payload(objectId));
  }

  begin(call: OutgoingCall): void {
    this.#transport.isAwaited = true;
    this.#outgoing.begin(call);
  }

  owns(parent: ParentCall): boolean {
    return parent.responder === this.#incoming;
  }

  abandon(call: OutgoingCall, error: PlugError): void {
    this.#outgoing.abandon(call, error);
  }

  settled(): void {
    this.#outgoing.settled();
    if (this.#outgoing.count === 0) this.#transport.isAwaited = false;
  }

  receive(chunk: Uint8Array, from: number, to: number): Uint8Array | undefined {
    if (this.#closeReason !== undefined) return undefined;
    this.#outlet.startBatch();
    try {
      this.#reader.push(chunk, from, to);
    } catch (error) {
      this.close(asPlugError(error));
    }
    this.#outlet.endBatch();
    return this.#reader.wanted;
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
        this.#outgoing.onError(flags, requestId, buffer, from, to);
        return;
      case FrameKind.Continue:
        if ((flags & FrameFlag.FromCallee) === 0) {
          this.#incoming.onPiece(flags, requestId, buffer, from, to);
        } else {
          this.#outgoing.onResponsePiece(flags, requestId, buffer, from, to);
        }
        return;
      case FrameKind.Cancel:
        this.#incoming.onCancel(requestId);
        return;
      case FrameKind.Message:
        this.#streamsOf(flags).onMessage(flags, requestId, buffer, from, to);
        return;
      case FrameKind.End:
        this.#incoming.onEnd(requestId);
        return;
      case FrameKind.Credit:
        this.#streamsOf(flags).onCredit(requestId, buffer, from, to);
        return;
      case FrameKind.Headers:
        this.#outgoing.onHeaders(requestId, buffer, from, to);
        return;
      case FrameKind.Ping:
        this.#pings.asked(requestId);
        if (!this.#outlet.isCongested) this.#sendPongs();
        return;
      case FrameKind.Pong:
        this.#pings.answered(requestId);
        return;
      case FrameKind.GoAway:
        this.#onGoAway(decodeError(buffer.subarray(from, to), "runtime"));
        return;
      case FrameKind.Service:
        this.#references?.described(readDescribed(buffer, from, to));
        return;
      case FrameKind.Release:
        this.#references?.released(readU32Payload("release", buffer, from, to));
        return;
      default:
        throw new PlugError("protocol_error", `${kindName(kind)} frame is not expected here`);
    }
  }

  #onGoAway(reason: PlugError): void {
    if (this.#peerDrainReason !== undefined) return;
    const error = new PlugError("draining", `${reason.rawMessage}; the call was not sent`, {
      origin: "peer",
    });
    this.#peerDrainReason = error;
    this.#outgoing.rejectWaiting(error);
    this.#events.onDraining?.(error);
  }

  // The half whose request ids a frame means.
  #streamsOf(flags: number): IncomingCalls | OutgoingStreams {
    return (flags & FrameFlag.FromCallee) === 0 ? this.#incoming : this.#outgoing.streams;
  }

  writable(): void {
    this.#sendPongs();
    this.#outlet.pump();
  }

  #sendPongs(): void {
    for (const id of this.#pings.takeAsked()) this.#outlet.write(FrameKind.Pong, 0, id, noPayload);
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
    this.#pings.rejectAll(reason);
    this.#incoming.abortAll(reason);
    this.#transport.close();
    this.#idleWatch.close();
    this.#events.onClosed?.(reason);
  }
}
