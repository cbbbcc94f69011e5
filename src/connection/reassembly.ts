// A message that comes in several frames.

import { PlugError } from "../error/plug-error.ts";

// Memory is asked for at most this many times the bytes that have come: enough that a message of
// 1 MiB is allocated once, and too little for a peer to take memory by announcing it. Of long ones
// no more than 1 MiB has to be moved, since that would hold everything up; what is asked for then is
// taken only as it is written to.
const growth = 16;
const longBytes = 1024 * 1024;
const longGrowth = 128;

/** Collects the pieces of one message whose length was announced. */
export class Reassembly {
  readonly totalBytes: number;
  #receivedBytes = 0;
  #buffer: Uint8Array | undefined;

  /** With `isDiscarded` the pieces are counted and dropped. */
  constructor(totalBytes: number, isDiscarded: boolean) {
    this.totalBytes = totalBytes;
    this.#buffer = isDiscarded ? undefined : new Uint8Array(0);
  }

  get isDiscarded(): boolean {
    return this.#buffer === undefined;
  }

  /** Drops what has come, and what will come. */
  discard(): void {
    this.#buffer = undefined;
  }

  /**
   * Takes the next piece.
   *
   * @throws {PlugError} `protocol_error`: more bytes than announced, or fewer at the end.
   */
  add(chunk: Uint8Array, from: number, to: number, isLast: boolean): void {
    const receivedBytes = this.#receivedBytes + to - from;
    if (receivedBytes > this.totalBytes || (isLast && receivedBytes < this.totalBytes)) {
      throw new PlugError(
        "protocol_error",
        `a message announced as ${this.totalBytes} bytes ${isLast ? "ended with" : "has at least"} ${receivedBytes}`,
      );
    }
    if (this.#buffer !== undefined) {
      this.#makeRoom(receivedBytes);
      this.#buffer.set(chunk.subarray(from, to), this.#receivedBytes);
    }
    this.#receivedBytes = receivedBytes;
  }

  /** The whole message, in memory that nobody else has. Undefined if it was discarded. */
  take(): Uint8Array | undefined {
    return this.#buffer;
  }

  #makeRoom(byteCount: number): void {
    const old = this.#buffer as Uint8Array;
    if (byteCount <= old.byteLength) return;
    const factor = byteCount < longBytes ? growth : longGrowth;
    // Not zeroed: nobody sees it before it is full.
    this.#buffer = Bun.allocUnsafe(Math.min(this.totalBytes, byteCount * factor));
    this.#buffer.set(old.subarray(0, this.#receivedBytes));
  }
}
