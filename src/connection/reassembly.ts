// A message that comes in several frames.

import { PlugError } from "../error/plug-error.ts";
import type { PartialBytes } from "./partial-bytes.ts";

// Memory is asked for at most this many times the bytes that have come: enough that a message with
// 1 MiB of bytes is allocated once (its first frame has 4 bytes less than 64 KiB of it), and too
// little for a peer to take memory by announcing it. Of long ones
// no more than 1 MiB has to be moved, since that would hold everything up; what is asked for then is
// taken only as it is written to.
const growth = 17;
const longBytes = 1024 * 1024;
const longGrowth = 128;

/** Collects the pieces of one message whose length was announced. */
export class Reassembly {
  readonly totalBytes: number;
  #receivedBytes = 0;
  #buffer: Uint8Array | undefined;
  // Where the next piece is being put, by who asked for it.
  #room: Uint8Array | undefined;
  readonly #partialBytes: PartialBytes | undefined;
  readonly #key: number;
  /** Why it was discarded, if that is because others hold too much. */
  excess: PlugError | undefined;

  /** With `isDiscarded` the pieces are counted and dropped. `key`: see {@link PartialBytes}. */
  constructor(totalBytes: number, isDiscarded: boolean, partialBytes?: PartialBytes, key = 0) {
    this.totalBytes = totalBytes;
    this.#partialBytes = partialBytes;
    this.#key = key;
    this.#buffer = isDiscarded ? undefined : new Uint8Array(0);
    if (!isDiscarded) partialBytes?.begun(key, this);
  }

  /** Drops what has come, and what will come. */
  discard(): void {
    if (this.#buffer === undefined) return;
    this.#buffer = undefined;
    this.#letGo();
  }

  /** Where the next piece belongs; the same memory may be {@link add}ed. */
  roomFor(byteCount: number): Uint8Array | undefined {
    const end = this.#receivedBytes + byteCount;
    if (this.#buffer === undefined || end > this.totalBytes) return undefined;
    this.#makeRoom(end);
    this.#room = this.#buffer.subarray(this.#receivedBytes, end);
    return this.#room;
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
      if (chunk !== this.#room) {
        this.#makeRoom(receivedBytes);
        this.#buffer.set(chunk.subarray(from, to), this.#receivedBytes);
      }
      this.#room = undefined;
      this.excess = this.#partialBytes?.hold(to - from);
    }
    this.#receivedBytes = receivedBytes;
    if (this.excess !== undefined) this.discard();
  }

  /** The whole message, once, in memory that nobody else has. Undefined if it was discarded. */
  take(): Uint8Array | undefined {
    if (this.#buffer !== undefined) this.#letGo();
    return this.#buffer;
  }

  #letGo(): void {
    this.#partialBytes?.letGo(this.#receivedBytes);
    this.#partialBytes?.ended(this.#key, this);
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
