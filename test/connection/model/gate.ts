// A transport whose bytes come when the test lets them through, cut as it likes.

import type { Receiver, Transport } from "../../../src/transport/transport.ts";

// Little, so that bulk data meets congestion often.
const highWaterBytes = 100_000;

/** Stands between a connection and its transport, of whatever kind that is. */
export class Gate implements Transport {
  readonly #inner: Transport;
  #receiver: Receiver | undefined;
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #end: { readonly cause: Error | undefined } | undefined;
  #isClosed = false;
  /** The other end's. */
  peer!: Gate;
  /** Bytes that have come out of the transport. */
  receivedBytes = 0;

  constructor(inner: Transport) {
    this.#inner = inner;
  }

  get kind() {
    return this.#inner.kind;
  }

  get buffer(): Uint8Array {
    return this.#inner.buffer;
  }

  get view(): DataView {
    return this.#inner.view;
  }

  get sent() {
    return this.#inner.sent;
  }

  get isAwaited(): boolean {
    return this.#inner.isAwaited;
  }

  set isAwaited(isAwaited: boolean) {
    this.#inner.isAwaited = isAwaited;
  }

  get unsentBytes(): number {
    return this.#inner.unsentBytes + this.peer.#heldBytes;
  }

  get isCongested(): boolean {
    return this.#inner.isCongested || this.peer.#heldBytes > highWaterBytes;
  }

  /** Nothing is on its way to the other end, and nothing is held before it. */
  get isClear(): boolean {
    return this.unsentBytes === 0 && this.sent.byteCount === this.peer.receivedBytes;
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#inner.start({
      receive: (chunk, from, to) => {
        this.#held.push(chunk.slice(from, to));
        this.#heldBytes += to - from;
        this.receivedBytes += to - from;
      },
      writable: () => {
        if (!this.isCongested) this.#receiver?.writable();
      },
      ended: (cause) => void (this.#end = { cause }),
    });
  }

  reserve(byteLength: number): number {
    return this.#inner.reserve(byteLength);
  }

  commit(end: number): void {
    this.#inner.commit(end);
  }

  flush(): void {
    this.#inner.flush();
  }

  ref(): void {}

  unref(): void {}

  close(): void {
    this.#isClosed = true;
    this.#receiver = undefined;
    this.#held.length = 0;
    this.#heldBytes = 0;
    this.#inner.close();
  }

  /** Delivers up to so many bytes as one chunk, in memory that is overwritten after it. */
  letThrough(maxBytes: number): void {
    if (this.#isClosed) return;
    const wasCongested = this.peer.isCongested;
    const byteCount = Math.min(maxBytes, this.#heldBytes);
    if (byteCount > 0) {
      const chunk = this.#take(byteCount);
      this.#receiver?.receive(chunk, 1, 1 + byteCount);
      chunk.fill(0xdd);
    }
    if (wasCongested && !this.peer.isCongested) this.peer.#receiver?.writable();
    if (this.#heldBytes === 0 && this.#end !== undefined) this.#finish(this.#end.cause);
  }

  /** The transport breaks, as this end sees it: what is held is lost. */
  breakOff(cause: Error): void {
    if (this.#isClosed) return;
    this.#held.length = 0;
    this.#heldBytes = 0;
    this.#finish(cause);
  }

  #finish(cause: Error | undefined): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    receiver?.ended(cause);
  }

  #take(byteCount: number): Uint8Array {
    const chunk = new Uint8Array(byteCount + 2);
    for (let at = 0; at < byteCount;) {
      const first = this.#held[0] as Uint8Array;
      const part = first.subarray(0, byteCount - at);
      chunk.set(part, 1 + at);
      at += part.byteLength;
      if (part.byteLength === first.byteLength) this.#held.shift();
      else this.#held[0] = first.subarray(part.byteLength);
    }
    this.#heldBytes -= byteCount;
    return chunk;
  }
}
