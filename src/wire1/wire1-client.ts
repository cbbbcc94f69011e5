// Wire 1 as a host: calls go to a plugin that takes one at a time, and knows no request ids.
//
// The same face as the connection of wire 2. Calls queue with their deadlines running. One that is
// given up keeps its place on the wire until it is answered, because nothing but the order says
// which answer belongs to which call.

import { asPlugError, PlugError } from "../error/plug-error.ts";
import type { ClientConnection, ConnectionEvents } from "../call/client-connection.ts";
import { Deadlines } from "../call/deadlines.ts";
import type { CallTerms, OutgoingCall, Route } from "../call/outgoing-call.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";
import { type CallStarter, placeCall, WaitingCalls } from "../call/place-call.ts";
import { cutText } from "../frame/error-payload.ts";
import {
  idText,
  maxWire1FrameBytes,
  wire1ErrorId,
  wire1HeaderBytes,
  Wire1Reader,
  type Wire1Sink,
  writeWire1Header,
} from "../frame/wire1-frame.ts";
import type { Receiver, Transport } from "../transport/transport.ts";

export interface Wire1ClientOptions {
  readonly transport: Transport;
  /** Largest answer that is accepted, in bytes. */
  readonly maxMessageBytes: number;
  readonly events?: ConnectionEvents | undefined;
}

export class Wire1Client implements ClientConnection, CallStarter, Receiver, Wire1Sink {
  readonly #transport: Transport;
  readonly #events: ConnectionEvents;
  readonly #reader: Wire1Reader;
  readonly #deadlines = new Deadlines();
  readonly #waiting = new WaitingCalls();
  // The call that is on the wire; it may have been given up.
  #current: OutgoingCall | undefined;
  #unsettledCount = 0;
  #idle: PromiseWithResolvers<void> | undefined;
  #isReceiving = false;
  #closeReason: PlugError | undefined;

  constructor(options: Wire1ClientOptions) {
    this.#transport = options.transport;
    this.#events = options.events ?? {};
    this.#reader = new Wire1Reader(options.maxMessageBytes, this);
  }

  start(): void {
    this.#transport.start(this);
  }

  get inFlightCount(): number {
    return this.#unsettledCount;
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

  /** Every call has gone out already. */
  flush(): void {}

  get isReceiving(): boolean {
    return this.#isReceiving;
  }

  openStream(route: Route): never {
    throw new PlugError(
      "unimplemented",
      `${route.service}.${route.method} streams, which plugins built with the Go original cannot`,
    );
  }

  refusal(): PlugError | undefined {
    return this.#closeReason;
  }

  ping(): Promise<void> {
    return Promise.reject(
      this.#closeReason ??
        new PlugError("unimplemented", "plugins built with the Go original answer no pings"),
    );
  }

  /** Plugins on this wire place no calls, so there are none to refuse. */
  drain(): void {}

  idle(): Promise<void> {
    if (this.#unsettledCount === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  begin(call: OutgoingCall): void {
    this.#unsettledCount += 1;
    if (this.#unsettledCount === 1) this.#events.onBusy?.();
    if (call.hasDeadline) this.#deadlines.add(call);
    this.#waiting.add(call);
    this.#sendNext();
  }

  /** No call comes by this wire. */
  owns(): boolean {
    return false;
  }

  abandon(call: OutgoingCall, error: PlugError): void {
    if (call.isSettled) return;
    this.#deadlines.remove(call);
    call.reject(error);
    this.#waiting.remove(call);
  }

  settled(): void {
    this.#unsettledCount -= 1;
    if (this.#unsettledCount > 0) return;
    this.#events.onIdle?.();
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  #sendNext(): void {
    while (this.#current === undefined) {
      const call = this.#waiting.take();
      if (call === undefined) break;
      this.#send(call);
    }
  }

  #send(call: OutgoingCall): void {
    const transport = this.#transport;
    const id = call.route.methodId;
    const { writer, value } = call;
    try {
      const byteCount = writer.size(value);
      const headerBytes = wire1HeaderBytes(byteCount);
      const frameBytes = headerBytes + byteCount;
      if (frameBytes > maxWire1FrameBytes) throw requestTooLarge(call.name, frameBytes);
      const start = transport.reserve(frameBytes);
      const at = writeWire1Header(transport.buffer, start, id, byteCount);
      transport.commit(writer.write(value, transport.buffer, at));
      this.#events.onFrame?.(">", 0, 0, id, 0, byteCount);
    } catch (error) {
      this.#deadlines.remove(call);
      call.reject(asPlugError(error));
      return;
    }
    this.#current = call;
    call.id = id;
    call.value = undefined;
    // At once and alone: the Go original takes one read for one frame.
    transport.flush();
  }

  receive(chunk: Uint8Array, from: number, to: number): void {
    if (this.#closeReason !== undefined) return;
    this.#isReceiving = true;
    try {
      this.#reader.push(chunk, from, to);
    } catch (error) {
      this.close(asPlugError(error));
    }
    this.#isReceiving = false;
  }

  checkId(id: number): void {
    const call = this.#current;
    if (call === undefined) {
      throw new PlugError(
        "protocol_error",
        `frame ${idText(id)} answers nothing that was asked; does the plugin print on its stdout?`,
      );
    }
    if (id !== wire1ErrorId && id !== call.route.methodId) {
      throw new PlugError(
        "protocol_error",
        `frame ${idText(id)} came where the answer to ${call.name}, ${idText(call.route.methodId)}, was due; does the plugin print on its stdout?`,
      );
    }
  }

  frame(id: number, buffer: Uint8Array, from: number, to: number): void {
    if (this.#closeReason !== undefined) return;
    this.#events.onFrame?.("<", 0, 0, id, 0, to - from);
    const call = this.#current as OutgoingCall; // checkId has seen to it
    this.#current = undefined;
    this.#deadlines.remove(call);
    if (!call.isSettled) this.#settle(call, id, buffer, from, to);
    this.#sendNext();
  }

  #settle(call: OutgoingCall, id: number, buffer: Uint8Array, from: number, to: number): void {
    try {
      const response = id === wire1ErrorId ? undefined : call.reader.read(buffer, from, to, false);
      // This wire has none, and whoever wants to hear of them hears that.
      if (call.terms !== undefined) call.tellMetadata();
      if (id === wire1ErrorId) {
        const text = new TextDecoder().decode(buffer.subarray(from, to));
        throw new PlugError("unknown", cutText(text), { origin: "peer" });
      }
      call.resolve(response);
    } catch (error) {
      call.reject(asPlugError(error));
    }
  }

  writable(): void {}

  ended(cause?: Error): void {
    if (this.#events.onEnded !== undefined) this.#events.onEnded(cause);
    else this.close(new PlugError("unavailable", "the connection has ended", { cause }));
  }

  close(reason: PlugError, callReason = reason): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason;
    const calls = this.#waiting.takeAll();
    if (this.#current !== undefined) calls.unshift(this.#current);
    this.#current = undefined;
    this.#deadlines.clear();
    for (const call of calls) call.reject(callReason);
    this.#transport.close();
    this.#events.onClosed?.(reason);
  }
}

function requestTooLarge(name: string, frameBytes: number): PlugError {
  return new PlugError(
    "resource_exhausted",
    `request of ${name} makes a frame of ${frameBytes} bytes; a plugin built with the Go original takes at most ${maxWire1FrameBytes}`,
  );
}
