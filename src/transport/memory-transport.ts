// Two ends in one process, for tests of plugins: the same frames, no process.

import { SendBuffer } from "./send-buffer.ts";
import type { BlockingTransport, Receiver, Transport } from "./transport.ts";

const highWaterBytes = 64 * 1024;

/** Two connected transports. Closing one ends the other. */
export function memoryTransports(): [Transport, Transport] {
  const left = new MemoryTransport();
  const right = new MemoryTransport();
  left.connect(right);
  right.connect(left);
  return [left, right];
}

class MemoryTransport implements BlockingTransport {
  readonly kind = "memory";
  readonly canBlock = true;
  // There is nothing to wait for: what is not there now needs the event loop.
  readonly readFd = -1;
  readonly writeFd = undefined;
  readonly sent = { writeCount: 0, byteCount: 0 };
  isAwaited = false;
  readonly #out = new SendBuffer();
  #peer: MemoryTransport | undefined;
  #receiver: Receiver | undefined;
  // Chunks that the peer has flushed and that were not delivered yet, because a turn is owed or
  // nobody has started this end.
  #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #isDeliveryScheduled = false;
  #isPeerClosed = false;
  #isClosed = false;

  connect(peer: MemoryTransport): void {
    this.#peer = peer;
  }

  get buffer(): Uint8Array {
    return this.#out.buffer;
  }

  get view(): DataView {
    return this.#out.view;
  }

  get isCongested(): boolean {
    return this.unsentBytes > highWaterBytes;
  }

  get unsentBytes(): number {
    return this.#out.byteCount + (this.#peer?.backlogBytes ?? 0);
  }

  get backlogBytes(): number {
    return this.#inboxBytes;
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#scheduleDelivery();
  }

  reserve(byteLength: number): number {
    return this.#out.reserve(byteLength);
  }

  commit(end: number): void {
    this.#out.commit(end);
  }

  flush(): void {
    const byteCount = this.#out.byteCount;
    if (byteCount === 0) return;
    const chunk = this.#out.buffer.slice(this.#out.head, this.#out.tail);
    this.#out.taken(byteCount);
    this.sent.writeCount += 1;
    this.sent.byteCount += byteCount;
    if (!this.#isClosed) this.#peer?.accept(chunk);
  }

  accept(chunk: Uint8Array): void {
    if (this.#isClosed) return;
    this.#inbox.push(chunk);
    this.#inboxBytes += chunk.byteLength;
    this.#scheduleDelivery();
  }

  takeNow(): boolean {
    this.#peer?.flush();
    return this.#takeInbox() || (this.#peer?.takeOwn() ?? false);
  }

  takeOwn(): boolean {
    this.#peer?.flush();
    return this.#takeInbox();
  }

  #takeInbox(): boolean {
    const isFound = this.#inbox.length > 0 && this.#receiver !== undefined;
    if (isFound) this.#deliver();
    return isFound;
  }

  willWait(): boolean {
    return true;
  }

  hasWaited(): void {}

  resume(): void {}

  ref(): void {}

  unref(): void {}

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#receiver = undefined;
    this.#inbox = [];
    this.#inboxBytes = 0;
    this.#peer?.peerClosed();
  }

  peerClosed(): void {
    this.#isPeerClosed = true;
    this.#scheduleDelivery();
  }

  // Always in a turn of its own, as the kernel would: nobody is called back from inside a flush.
  #scheduleDelivery(): void {
    if (this.#isDeliveryScheduled || this.#receiver === undefined) return;
    this.#isDeliveryScheduled = true;
    setImmediate(() => {
      this.#isDeliveryScheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const wasCongested = this.#peer?.isCongested === true;
    const chunks = this.#inbox;
    this.#inbox = [];
    this.#inboxBytes = 0;
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i] as Uint8Array;
      // Receivers can change between two chunks, when the handshake hands over.
      this.#receiver?.receive(chunk, 0, chunk.byteLength);
    }
    if (wasCongested && !this.#isClosed) this.#peer?.peerDrained();
    if (this.#isPeerClosed && this.#inbox.length === 0) {
      const receiver = this.#receiver;
      this.#receiver = undefined;
      receiver?.ended();
    }
  }

  peerDrained(): void {
    if (!this.isCongested) this.#receiver?.writable();
  }
}
