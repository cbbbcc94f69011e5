// Bytes on their way out: frames are written behind each other, so that one write takes them all.

// One pipe's worth. Enough for a few hundred small frames, and small enough to keep for good.
const initialBytes = 64 * 1024;
// A burst may need far more; above this the memory is given back once it has been sent.
const keepBytes = 1024 * 1024;

/** A growable queue of bytes: reserved and committed at the end, taken from the front. */
export class SendBuffer {
  buffer = new Uint8Array(initialBytes);
  view = new DataView(this.buffer.buffer);
  /** What is waiting to be sent is `buffer[head, tail)`. */
  head = 0;
  tail = 0;

  get byteCount(): number {
    return this.tail - this.head;
  }

  reserve(byteLength: number): number {
    if (this.tail + byteLength > this.buffer.byteLength) this.#makeRoom(byteLength);
    return this.tail;
  }

  commit(end: number): void {
    this.tail = end;
  }

  /** The first `byteCount` bytes have been sent. */
  taken(byteCount: number): void {
    this.head += byteCount;
    if (this.head < this.tail) return;
    this.head = 0;
    this.tail = 0;
    if (this.buffer.byteLength > keepBytes) this.#resize(initialBytes);
  }

  #makeRoom(byteLength: number): void {
    const waiting = this.tail - this.head;
    const needed = waiting + byteLength;
    // Moving to the front is enough when at least a quarter of the memory comes free by it; else
    // the same bytes would be moved again and again.
    if (needed * 4 > this.buffer.byteLength * 3) {
      let size = this.buffer.byteLength * 2;
      while (size < needed) size *= 2;
      this.#resize(size);
    } else {
      this.buffer.copyWithin(0, this.head, this.tail);
    }
    this.head = 0;
    this.tail = waiting;
  }

  #resize(size: number): void {
    const old = this.buffer;
    this.buffer = new Uint8Array(size);
    this.view = new DataView(this.buffer.buffer);
    if (this.head < this.tail) this.buffer.set(old.subarray(this.head, this.tail));
  }
}
