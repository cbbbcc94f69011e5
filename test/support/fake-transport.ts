// A transport whose other end is the test: it sees each write, and says what comes in.

import type { Receiver, Transport } from "../../src/transport/transport.ts";
import { joined } from "./cuts.ts";

export class FakeTransport implements Transport {
  readonly kind = "memory";
  readonly sent = { writeCount: 0, byteCount: 0 };
  /** What each flush wrote. */
  readonly writes: Uint8Array[] = [];
  isCongested = false;
  isAwaited = false;
  unsentBytes = 0;
  closeCount = 0;
  buffer = new Uint8Array(256);
  view = new DataView(this.buffer.buffer);
  #tail = 0;
  #receiver: Receiver | undefined;
  // Called for each write, as a kernel whose reader is quick.
  onWrite: ((bytes: Uint8Array) => void) | undefined;

  start(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  reserve(byteLength: number): number {
    const needed = this.#tail + byteLength;
    if (needed > this.buffer.byteLength) {
      const larger = new Uint8Array(needed * 2);
      larger.set(this.buffer);
      this.buffer = larger;
      this.view = new DataView(larger.buffer);
    }
    return this.#tail;
  }

  commit(end: number): void {
    this.#tail = end;
  }

  flush(): void {
    if (this.#tail === 0 || this.closeCount > 0) return;
    const bytes = this.buffer.slice(0, this.#tail);
    this.#tail = 0;
    this.sent.writeCount += 1;
    this.sent.byteCount += bytes.byteLength;
    this.writes.push(bytes);
    this.onWrite?.(bytes);
  }

  ref(): void {}

  unref(): void {}

  close(): void {
    this.closeCount += 1;
  }

  get isClosed(): boolean {
    return this.closeCount > 0;
  }

  /** Everything that was written. */
  get written(): Uint8Array {
    return joined(...this.writes);
  }

  /** What was written since the last time. */
  takeWritten(): Uint8Array {
    const bytes = this.written;
    this.writes.length = 0;
    return bytes;
  }

  /**
   * Delivers a chunk, in memory that is overwritten when the receiver is through with it: whoever
   * keeps a view of borrowed bytes is found out.
   */
  deliver(bytes: Uint8Array): void {
    if (this.isClosed) return;
    const chunk = new Uint8Array(bytes.byteLength + 2);
    chunk.set(bytes, 1);
    this.#receiver?.receive(chunk, 1, 1 + bytes.byteLength);
    chunk.fill(0xdd);
  }

  /** The peer has room again. */
  drained(): void {
    this.isCongested = false;
    this.#receiver?.writable();
  }

  /** The peer goes. */
  end(cause?: Error): void {
    this.#receiver?.ended(cause);
  }
}

/** Lets what is due in microtasks happen. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/** Gives way until a condition holds; fails after 10,000 turns. Needs no clock. */
export async function turnsUntil(what: string, condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn === 10_000) throw new Error(`${what}: not so within ${turn} turns`);
    await Bun.sleep(0);
  }
}
