// Two byte rings in memory that two processes share, one for each direction.
//
//   offset  what
//        0  control of the ring that the host writes: 4 cache lines
//      256  control of the ring that the plugin writes
//     4096  bytes of the first ring, then those of the second
//
// A control block is five u32 on four cache lines:
//
//        0  how much has been written: the writer's      (both counts wrap at 2^32)
//       64  how much has been read: the reader's
//      128  1 while the reader sleeps: it wants the doorbell when something comes
//      192  1 while the writer waits: it wants the doorbell when room comes
//      196  how many connections of the writer's process are busy: a hint
//
// Each ring has one writer and one reader. Why nothing is missed: a reader that goes to sleep stores
// its flag and then loads the count once more; a writer stores the count and then loads the flag.
// All of them are Atomics, which are sequentially consistent: in the one order of them all, either
// the store of the count comes before the reader's load, and the reader sees it and does not sleep,
// or it comes after, and then so does the load of the flag, and the writer sees it and rings. The
// same holds for room, with the parts exchanged.
//
// The other process is not trusted: its counts are checked before they are used, and what it writes
// is read like bytes from anywhere else.

const controlBytes = 256;
const dataAt = 4096;
const words = { written: 0, read: 16, readerSleeps: 32, writerWaits: 48, busy: 49 };

// Up to here a loop over words is the faster way to copy: it takes a fourth of what a view and `set`
// take for a small frame.
const maxLoopBytes = 128;

/** Bytes of one ring. A power of two. */
export const ringBytes = 1024 * 1024;

/** What the two rings take together. */
export const ringMemoryBytes = dataAt + 2 * ringBytes;

/** The two ends of one process. */
export function ringEnds(
  memory: Uint8Array,
  side: "host" | "plugin",
): { readonly writer: RingWriter; readonly reader: RingReader } {
  const own = side === "host" ? 0 : 1;
  return {
    writer: new RingWriter(memory, own),
    reader: new RingReader(memory, 1 - own),
  };
}

function controlOf(memory: Uint8Array, index: number): Int32Array {
  return new Int32Array(
    memory.buffer,
    memory.byteOffset + index * controlBytes,
    controlBytes / Int32Array.BYTES_PER_ELEMENT,
  );
}

// For error texts.
function unsigned(count: number): number {
  return count >>> 0;
}

/** The writing end of one ring. */
export class RingWriter {
  readonly #control: Int32Array;
  readonly #memory: Uint8Array;
  readonly #start: number;
  // Written, and seen by the other side. Both count all bytes ever, modulo 2^32 and, as code that is
  // compiled for small integers wants it, with a sign.
  #written = 0;
  #published = 0;
  // What the reader had read when it was last looked at.
  #read = 0;
  #busyCount = 0;

  constructor(memory: Uint8Array, index: number) {
    this.#control = controlOf(memory, index);
    this.#memory = memory;
    this.#start = dataAt + index * ringBytes;
  }

  /** Written bytes that the reader had not read when it was last looked at. */
  get unreadBytes(): number {
    return (this.#written - this.#read) | 0;
  }

  /** Looks at how far the reader is. @throws {Error} What it says cannot be. */
  look(): void {
    const read = Atomics.load(this.#control, words.read);
    const unreadBytes = (this.#written - read) | 0;
    if (unreadBytes < 0 || unreadBytes > ringBytes) {
      throw new Error(
        `the other side has read up to ${unsigned(read)} of a ring of which ${unsigned(this.#written)} are written`,
      );
    }
    this.#read = read;
  }

  /**
   * Where in the memory `byteLength` bytes may be written in one piece, or -1 if there is no such
   * place.
   */
  place(byteLength: number): number {
    const at = this.#written & (ringBytes - 1);
    if (byteLength > ringBytes - at) return -1;
    if (byteLength > ringBytes - this.unreadBytes) {
      this.look();
      if (byteLength > ringBytes - this.unreadBytes) return -1;
    }
    return this.#start + at;
  }

  /** The bytes up to `end` have been written to the last {@link place}. */
  written(end: number): void {
    const at = this.#written & (ringBytes - 1);
    this.#written = (this.#written + end - this.#start - at) | 0;
  }

  /** Copies as much as there is room for, and returns how much that was. */
  copy(bytes: Uint8Array, from: number, to: number): number {
    this.look();
    const byteCount = Math.min(to - from, ringBytes - this.unreadBytes);
    const at = this.#written & (ringBytes - 1);
    const first = Math.min(byteCount, ringBytes - at);
    this.#memory.set(bytes.subarray(from, from + first), this.#start + at);
    this.#memory.set(bytes.subarray(from + first, from + byteCount), this.#start);
    this.#written = (this.#written + byteCount) | 0;
    return byteCount;
  }

  /** Lets the reader see what is written. Returns how many bytes are new to it. */
  publish(): number {
    const byteCount = (this.#written - this.#published) | 0;
    if (byteCount === 0) return 0;
    this.#published = this.#written;
    Atomics.store(this.#control, words.written, this.#written);
    return byteCount;
  }

  /** Tells the reader how many connections of this process are busy. */
  tellBusy(count: number): void {
    if (count === this.#busyCount) return;
    this.#busyCount = count;
    Atomics.store(this.#control, words.busy, count);
  }

  /** After {@link publish}: whether the reader sleeps. It is told once. */
  takeSleep(): boolean {
    return (
      Atomics.load(this.#control, words.readerSleeps) !== 0 &&
      Atomics.exchange(this.#control, words.readerSleeps, 0) !== 0
    );
  }

  /**
   * Asks for the doorbell when the reader has read something. False: no more than `unreadBytes` are
   * unread now.
   */
  waitUntilRead(unreadBytes: number): boolean {
    Atomics.store(this.#control, words.writerWaits, 1);
    this.look();
    if (this.unreadBytes > unreadBytes) return true;
    Atomics.store(this.#control, words.writerWaits, 0);
    return false;
  }
}

/** The reading end of one ring. */
export class RingReader {
  readonly #control: Int32Array;
  readonly #memory: Uint8Array;
  readonly #words: Int32Array;
  readonly #start: number;
  #read = 0;

  constructor(memory: Uint8Array, index: number) {
    this.#control = controlOf(memory, index);
    this.#memory = memory;
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength >> 2);
    this.#start = dataAt + index * ringBytes;
  }

  /** Bytes that can be read. @throws {Error} What the other side says cannot be. */
  get byteCount(): number {
    const written = Atomics.load(this.#control, words.written);
    const byteCount = (written - this.#read) | 0;
    if (byteCount >= 0 && byteCount <= ringBytes) return byteCount;
    throw new Error(
      `the other side has written up to ${unsigned(written)} of a ring of which ${unsigned(this.#read)} are read`,
    );
  }

  /** How many connections of the other process are busy, if it is to be believed. */
  get busyCount(): number {
    return Atomics.load(this.#control, words.busy);
  }

  /** Where in the memory the next byte is. */
  get at(): number {
    return this.#start + (this.#read & (ringBytes - 1));
  }

  /** Bytes from {@link at} to the end of the ring's memory. */
  get bytesToEnd(): number {
    return ringBytes - (this.#read & (ringBytes - 1));
  }

  /**
   * Copies so many bytes from {@link at}, which are all there, to the front of `chunk`; `words` is
   * the same memory. Returns where in the chunk they begin: a few others may come before and behind.
   */
  copy(byteCount: number, chunk: Uint8Array, words: Int32Array): number {
    const { at } = this;
    if (byteCount > maxLoopBytes) {
      chunk.set(this.#memory.subarray(at, at + byteCount));
      return 0;
    }
    const end = (at + byteCount + 3) >> 2;
    for (let from = at >> 2, to = 0; from < end; from++, to++) {
      words[to] = this.#words[from] as number;
    }
    return at & 3;
  }

  /** Gives the room of so many bytes back. */
  advance(byteCount: number): void {
    this.#read = (this.#read + byteCount) | 0;
    Atomics.store(this.#control, words.read, this.#read);
  }

  /** After {@link advance}: whether the writer waits for room. It is told once. */
  takeWait(): boolean {
    return (
      Atomics.load(this.#control, words.writerWaits) !== 0 &&
      Atomics.exchange(this.#control, words.writerWaits, 0) !== 0
    );
  }

  /** Asks for the doorbell when something comes. False: there is something now. */
  sleep(): boolean {
    Atomics.store(this.#control, words.readerSleeps, 1);
    if (this.byteCount === 0) return true;
    this.wake();
    return false;
  }

  wake(): void {
    Atomics.store(this.#control, words.readerSleeps, 0);
  }
}
