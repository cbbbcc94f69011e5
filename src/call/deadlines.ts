// When calls are due: one timer for all of them.
//
// A binary heap in which every entry knows its place, so that the usual case, a call that is
// answered long before its deadline, is taken out again without a search. Calls with like timeouts
// come in the order of their deadlines, so both steps touch one or two entries.

/** Something with a deadline. The two fields belong to {@link Deadlines}. */
export interface Due {
  /** The moment, on the clock of `performance.now()`. */
  deadlineAt: number;
  /** Its place in the heap, or -1. */
  heapIndex: number;
  /** Called at the deadline or up to a few milliseconds after it, never before. */
  due(): void;
}

// A timer that is set for longer fires at once. One that is early is set again.
const maxDelayMs = 2 ** 31 - 1;

export class Deadlines {
  readonly #heap: Due[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;

  get count(): number {
    return this.#heap.length;
  }

  add(entry: Due): void {
    entry.heapIndex = this.#heap.length;
    this.#heap.push(entry);
    this.#up(entry.heapIndex);
    if (entry.deadlineAt < this.#timerAt) this.#arm();
  }

  /** Does nothing for an entry that is not in. */
  remove(entry: Due): void {
    const index = entry.heapIndex;
    if (index < 0) return;
    entry.heapIndex = -1;
    const last = this.#heap.pop() as Due;
    if (last !== entry) {
      this.#heap[index] = last;
      last.heapIndex = index;
      this.#up(index);
      this.#down(last.heapIndex);
    }
    // The timer stays: one that fires early finds nothing to do, and setting it anew for every
    // answered call would cost more than that.
  }

  /** Forgets all entries, without a word to them. */
  clear(): void {
    for (const entry of this.#heap) entry.heapIndex = -1;
    this.#heap.length = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    const now = performance.now();
    for (let first = this.#heap[0]; first !== undefined && first.deadlineAt <= now;) {
      this.remove(first);
      first.due();
      first = this.#heap[0];
    }
    if (this.#heap.length > 0) this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timerAt = (this.#heap[0] as Due).deadlineAt;
    const leftMs = Math.ceil(this.#timerAt - performance.now());
    const delayMs = Math.min(Math.max(1, leftMs), maxDelayMs);
    this.#timer = setTimeout(() => this.#fire(), delayMs);
    // What is waited for keeps the process running, not the wait's end.
    this.#timer.unref();
  }

  #up(index: number): void {
    const heap = this.#heap;
    const entry = heap[index] as Due;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex] as Due;
      if (parent.deadlineAt <= entry.deadlineAt) break;
      heap[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    heap[index] = entry;
    entry.heapIndex = index;
  }

  #down(index: number): void {
    const heap = this.#heap;
    const entry = heap[index] as Due;
    for (;;) {
      let childIndex = index * 2 + 1;
      if (childIndex >= heap.length) break;
      const right = heap[childIndex + 1];
      if (right !== undefined && right.deadlineAt < (heap[childIndex] as Due).deadlineAt) {
        childIndex += 1;
      }
      const child = heap[childIndex] as Due;
      if (entry.deadlineAt <= child.deadlineAt) break;
      heap[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    heap[index] = entry;
    entry.heapIndex = index;
  }
}
