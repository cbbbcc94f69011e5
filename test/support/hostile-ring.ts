// The other side of a ring, which does as it likes: it writes words and bytes by itself.

import { ringBytes, ringMemoryBytes } from "../../src/transport/ring-memory.ts";

// As the head of src/transport/ring-memory.ts has it.
const dataAt = 4096;
const controlBytes = 256;

/** One side's hands on the memory. What it writes is never checked. */
export class HostileRing {
  readonly #memory: Uint8Array;
  readonly #own: Int32Array;
  readonly #other: Int32Array;
  readonly #start: number;

  constructor(memory: Uint8Array, side: "host" | "plugin") {
    if (memory.byteLength !== ringMemoryBytes) throw new Error("that is not a ring's memory");
    const own = side === "host" ? 0 : 1;
    const words = controlBytes / Int32Array.BYTES_PER_ELEMENT;
    this.#memory = memory;
    this.#own = new Int32Array(memory.buffer, memory.byteOffset + own * controlBytes, words);
    this.#other = new Int32Array(
      memory.buffer,
      memory.byteOffset + (1 - own) * controlBytes,
      words,
    );
    this.#start = dataAt + own * ringBytes;
  }

  /** How much it says that it has written. */
  get written(): number {
    return Atomics.load(this.#own, 0) >>> 0;
  }

  set written(count: number) {
    Atomics.store(this.#own, 0, count | 0);
  }

  /** How much it says that it has read of the other's ring. */
  get read(): number {
    return Atomics.load(this.#other, 16) >>> 0;
  }

  set read(count: number) {
    Atomics.store(this.#other, 16, count | 0);
  }

  /** How much the other side has read of its ring. */
  get readByOther(): number {
    return Atomics.load(this.#own, 16) >>> 0;
  }

  /** Whether the other side wants the doorbell. */
  get isOtherAsleep(): boolean {
    return Atomics.load(this.#own, 32) !== 0;
  }

  /** Sets a byte of its ring, by the byte's number. */
  poke(number: number, value: number): void {
    this.#memory[this.#start + (number & (ringBytes - 1))] = value;
  }

  /** Writes bytes behind what it has written, and says so. It rings no bell. */
  write(bytes: Uint8Array): void {
    const { written } = this;
    for (const [i, byte] of bytes.entries()) this.poke(written + i, byte);
    this.written = written + bytes.byteLength;
  }
}
