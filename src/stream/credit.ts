// Flow control by credit, in bytes: what one side may send before the other has read it.
//
// A message may start while its stream has credit left, and it is charged in full, however long it
// is: so a message that has started never waits for credit, and a stream whose reader reads on
// never stands still. The connection has credit of its own for all its streams together; a stream
// that has nothing outstanding may start a message without it, so that stuck streams cannot stop
// the others.

/** What a message costs beside its bytes, so that empty ones are not free: its header. */
export const messageCostBytes = 12;

/** What the streams of one connection have outstanding together, in one direction. */
export class CreditPool {
  readonly #windowBytes: number;
  #outstandingBytes = 0;
  // Streams that wait for credit of the connection, first come first served.
  readonly #waiting = new Set<() => void>();

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
  }

  get outstandingBytes(): number {
    return this.#outstandingBytes;
  }

  get isExhausted(): boolean {
    return this.#outstandingBytes >= this.#windowBytes;
  }

  charge(byteCount: number): void {
    this.#outstandingBytes += byteCount;
  }

  /** Gives credit back, and wakes those that wait for it, while there is some. */
  release(byteCount: number): void {
    this.#outstandingBytes -= byteCount;
    this.wakeWaiting();
  }

  protected wakeWaiting(): void {
    for (const wake of this.#waiting) {
      if (this.isExhausted) break;
      this.#waiting.delete(wake);
      wake();
    }
  }

  /** Calls `wake` once, when there is credit again. */
  wait(wake: () => void): void {
    this.#waiting.add(wake);
  }

  stopWaiting(wake: () => void): void {
    this.#waiting.delete(wake);
  }
}

// What streams send in one turn of the event loop: enough to keep the peer busy for longer than a
// turn takes.
const turnBytes = 64 * 1024;

/**
 * The pool of those that send. All streams together send so much in one turn of the event loop:
 * sources that are never at a loss would else use up the windows of all streams before a timer, a
 * deadline or another call had its turn.
 */
export class SendPool extends CreditPool {
  #turnBytes = 0;

  override get isExhausted(): boolean {
    return this.#turnBytes >= turnBytes || super.isExhausted;
  }

  override charge(byteCount: number): void {
    super.charge(byteCount);
    if (this.#turnBytes === 0) setImmediate(this.#nextTurn);
    this.#turnBytes += byteCount;
  }

  readonly #nextTurn = (): void => {
    this.#turnBytes = 0;
    this.wakeWaiting();
  };
}
