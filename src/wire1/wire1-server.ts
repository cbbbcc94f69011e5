// Wire 1 as a plugin: a Go host asks, one call at a time, and gets one answer each.

import type { ConnectionEvents } from "../call/client-connection.ts";
import {
  type CallHandler,
  IncomingCall,
  type Responder,
  responseFailure,
} from "../call/incoming-call.ts";
import type { PayloadWriter } from "../stream/payload.ts";
import { asPlugError, PlugError } from "../error/plug-error.ts";
import { errorText } from "../frame/error-payload.ts";
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

export interface Wire1ServerOptions {
  readonly transport: Transport;
  /** The service that the handshake agreed on: the high byte of every id. */
  readonly serviceIndex: number;
  readonly maxMessageBytes: number;
  /** Answers the calls; their `methodId` is the position in the service. */
  readonly handler: CallHandler;
  readonly events?: ConnectionEvents | undefined;
}

// A host of the Go original has one request under way. One that sends more without waiting is
// served in order, up to here.
const maxQueuedRequests = 1024;
const maxQueuedBytes = 1024 * 1024;

export class Wire1Server implements Responder, Receiver, Wire1Sink {
  readonly #transport: Transport;
  readonly #serviceIndex: number;
  readonly #handler: CallHandler;
  readonly #events: ConnectionEvents;
  readonly #reader: Wire1Reader;
  readonly #queue: { readonly id: number; readonly request: Uint8Array }[] = [];
  #queuedBytes = 0;
  #current: IncomingCall | undefined;
  #idle: PromiseWithResolvers<void> | undefined;
  #isClosed = false;

  constructor(options: Wire1ServerOptions) {
    this.#transport = options.transport;
    this.#serviceIndex = options.serviceIndex;
    this.#handler = options.handler;
    this.#events = options.events ?? {};
    this.#reader = new Wire1Reader(options.maxMessageBytes, this);
  }

  start(): void {
    this.#transport.start(this);
  }

  get incomingCount(): number {
    return this.#queue.length + (this.#current === undefined ? 0 : 1);
  }

  /** A host on this wire cannot be told: its next call finds that the plugin has gone. */
  drain(): void {}

  /** Resolves when no call is in flight, or the connection is closed. */
  idle(): Promise<void> {
    if (this.#isClosed || this.incomingCount === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  receive(chunk: Uint8Array, from: number, to: number): void {
    if (this.#isClosed) return;
    try {
      this.#reader.push(chunk, from, to);
    } catch (error) {
      this.close(asPlugError(error));
    }
  }

  frame(id: number, buffer: Uint8Array, from: number, to: number): void {
    if (this.#isClosed) return;
    this.#events.onFrame?.("<", 0, 0, id, 0, to - from);
    if (this.#current === undefined) {
      this.#handle(id, buffer, from, to, false);
      return;
    }
    this.#queuedBytes += to - from;
    if (this.#queue.length === maxQueuedRequests || this.#queuedBytes > maxQueuedBytes) {
      throw new PlugError(
        "protocol_error",
        `${this.#queue.length + 2} requests of ${this.#queuedBytes} bytes at once on wire 1, which has one at a time`,
      );
    }
    this.#queue.push({ id, request: buffer.slice(from, to) });
  }

  #handle(id: number, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    const call = new IncomingCall(this, id, id & 0xff, 0);
    this.#current = call;
    if (id >> 8 !== this.#serviceIndex) {
      this.fail(
        call,
        new PlugError(
          "unimplemented",
          `request ${idText(id)} is for service ${id >> 8}; the handshake was for service ${this.#serviceIndex}`,
        ),
      );
      return;
    }
    this.#handler.handle(call, buffer, from, to, owned);
  }

  respond<T>(call: IncomingCall, writer: PayloadWriter<T>, value: T): void {
    if (call.isAnswered) return;
    try {
      const byteCount = writer.size(value);
      const frameBytes = wire1HeaderBytes(byteCount) + byteCount;
      if (frameBytes > maxWire1FrameBytes) throw responseTooLarge(call, frameBytes);
      this.#write(call.id, byteCount, (buffer, at) => writer.write(value, buffer, at));
    } catch (error) {
      this.fail(call, responseFailure(call, error));
      return;
    }
    this.#answered(call);
  }

  /** On wire 1 an error is its text, and nothing else. */
  fail(call: IncomingCall, error: unknown): void {
    if (call.isAnswered) return;
    const text = new TextEncoder().encode(errorText(error).message);
    this.#write(wire1ErrorId, text.byteLength, (buffer, at) => {
      buffer.set(text, at);
      return at + text.byteLength;
    });
    this.#answered(call);
  }

  defer(): void {}

  messages(call: IncomingCall): never {
    throw new PlugError(
      "unimplemented",
      `${call.service}.${call.method} streams, which wire 1 cannot`,
    );
  }

  // At once and alone: the Go original takes one read for one frame.
  #write(id: number, byteCount: number, write: (buffer: Uint8Array, at: number) => number): void {
    if (this.#isClosed) return;
    const start = this.#transport.reserve(wire1HeaderBytes(byteCount) + byteCount);
    const at = writeWire1Header(this.#transport.buffer, start, id, byteCount);
    this.#transport.commit(write(this.#transport.buffer, at));
    this.#events.onFrame?.(">", 0, 0, id, 0, byteCount);
    this.#transport.flush();
  }

  #answered(call: IncomingCall): void {
    call.isAnswered = true;
    this.#current = undefined;
    const next = this.#queue.shift();
    if (next !== undefined) {
      this.#queuedBytes -= next.request.byteLength;
      this.#handle(next.id, next.request, 0, next.request.byteLength, true);
    } else if (this.#current === undefined) this.#idle?.resolve();
  }

  writable(): void {}

  ended(cause?: Error): void {
    if (this.#events.onEnded !== undefined) this.#events.onEnded(cause);
    else this.close(new PlugError("unavailable", "the connection has ended", { cause }));
  }

  close(reason: PlugError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#queue.length = 0;
    const call = this.#current;
    this.#current = undefined;
    if (call !== undefined) {
      call.isAnswered = true;
      call.abort(reason);
    }
    this.#idle?.resolve();
    this.#transport.close();
    this.#events.onClosed?.(reason);
  }
}

function responseTooLarge(call: IncomingCall, frameBytes: number): PlugError {
  return new PlugError(
    "resource_exhausted",
    `response of ${call.service}.${call.method} makes a frame of ${frameBytes} bytes; a host built with the Go original takes at most ${maxWire1FrameBytes}`,
  );
}
