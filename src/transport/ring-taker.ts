// Copies what is in a ring out of it, to where it is wanted.
//
// What is received is copied out first: the peer may go on writing to the ring, and neither what has
// been checked nor what Bun's own decoders have measured may change under their hands (Bun 1.4.5
// writes past its own memory when a text grows while it is being decoded).

import type { RingReader } from "./ring-memory.ts";
import type { Receiver } from "./transport.ts";

// What a receiver is given at a time: the writer gets the room back piece by piece.
const maxChunkBytes = 64 * 1024;
// So much of something long: the writer copies the next piece in while this one is copied out.
const maxPartBytes = 16 * 1024;
// Within something long it is given little more than the header of a piece, and says where that goes.
const maxHeadBytes = 512;

export class RingTaker {
  readonly #reader: RingReader;
  readonly #chunk = new Uint8Array(maxChunkBytes);
  readonly #chunkWords = new Int32Array(this.#chunk.buffer);
  // Where the receiver wants the next bytes.
  #wanted: Uint8Array | undefined;

  constructor(reader: RingReader) {
    this.#reader = reader;
  }

  /** In the middle of something long. */
  get isWithin(): boolean {
    return this.#wanted !== undefined;
  }

  /** With another receiver, which has not said yet what it wants. */
  begin(): void {
    this.#wanted = undefined;
  }

  /**
   * Hands on some of the `availableBytes` that are there, in one piece, and gives their room back.
   * Returns how many they were.
   */
  take(receiver: Receiver, availableBytes: number): number {
    const reader = this.#reader;
    const wanted = this.#wanted;
    const mostBytes = wanted === undefined ? maxChunkBytes : partBytes(wanted);
    const byteCount = Math.min(availableBytes, reader.bytesToEnd, mostBytes);
    let next: ReturnType<Receiver["receive"]>;
    if (wanted !== undefined && wanted.byteLength > 0) {
      reader.copyTo(wanted, byteCount);
      next = receiver.receive(wanted, 0, byteCount);
    } else {
      const from = reader.copy(byteCount, this.#chunk, this.#chunkWords);
      next = receiver.receive(this.#chunk, from, from + byteCount);
    }
    this.#wanted = next ?? undefined;
    reader.advance(byteCount);
    return byteCount;
  }
}

function partBytes(wanted: Uint8Array): number {
  return wanted.byteLength === 0 ? maxHeadBytes : Math.min(wanted.byteLength, maxPartBytes);
}
