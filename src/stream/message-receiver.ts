// The receiving half of a stream: messages wait here for whoever iterates, and credit goes back as
// they are taken.

import { PlugError } from "../error/plug-error.ts";
import { type CreditPool, messageCostBytes } from "./credit.ts";

/** What the receiving half asks of its connection. */
export interface ReceiverOutlet {
  /** Gives the sender credit back. */
  sendCredit(byteCount: number): void;
  /** Whoever iterates wants no more. */
  cancel(): void;
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: PlugError) => void;
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

// Places of taken messages that the list may hold at its front.
const maxTakenCount = 1024;

/** An async iterator that is filled from the other side. It can be iterated once. */
export class MessageReceiver<T> implements AsyncIterableIterator<T, undefined, undefined> {
  readonly #outlet: ReceiverOutlet;
  readonly #pool: CreditPool;
  readonly #windowBytes: number;
  #messages: { readonly value: T; readonly cost: number }[] = [];
  #head = 0;
  readonly #waiting: Waiting<T>[] = [];
  // Charged by the sender and not given back to it.
  #outstandingBytes = 0;
  // Taken by the reader and not given back to the sender.
  #takenBytes = 0;
  #isEnded = false;
  #error: PlugError | undefined;
  #isCancelled = false;
  #isReleased = false;

  constructor(outlet: ReceiverOutlet, pool: CreditPool, windowBytes: number) {
    this.#outlet = outlet;
    this.#pool = pool;
    this.#windowBytes = windowBytes;
  }

  /** Messages that wait to be taken. */
  get count(): number {
    return this.#messages.length - this.#head;
  }

  /**
   * A message starts to come. With `isSplit` it was sent in pieces, and messages of other streams
   * that were sent after it may have come before it: then what the connection has says nothing.
   *
   * @throws {PlugError} `protocol_error`: the sender has no credit for it.
   */
  start(id: number, isSplit: boolean): void {
    const hasNone =
      this.#outstandingBytes >= this.#windowBytes ||
      (!isSplit && this.#outstandingBytes > 0 && this.#pool.isExhausted);
    if (hasNone) {
      throw new PlugError("protocol_error", `a message for request id ${id} came without credit`);
    }
  }

  /** A message has come. */
  push(value: T, byteCount: number): void {
    // Nobody takes it, and nobody would give back what it was charged.
    if (this.#isOver) return;
    const cost = byteCount + messageCostBytes;
    this.#outstandingBytes += cost;
    this.#pool.charge(cost);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      this.#messages.push({ value, cost });
      return;
    }
    this.#take(cost);
    // Somebody still waits, and the sender must not wait for more.
    if (this.#waiting.length > 0) this.#giveBack();
    waiting.resolve({ done: false, value });
  }

  /** No more messages come. Those that wait still count, until they are taken. */
  end(): void {
    if (this.#isOver) return;
    this.#isEnded = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve(done);
  }

  /** No more messages come, and this is why. What has come before can still be taken. */
  fail(error: PlugError): void {
    this.release();
    if (this.#isOver) return;
    this.#error = error;
    const [first, ...others] = this.#waiting.splice(0);
    first?.reject(error);
    if (first !== undefined) this.#isEnded = true;
    for (const { resolve } of others) resolve(done);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.count > 0) {
      const { value, cost } = this.#messages[this.#head] as { value: T; cost: number };
      this.#messages[this.#head] = undefined as never; // not kept alive by its place
      this.#head += 1;
      // Also while there are more: a reader that is always a little behind never empties the list.
      if (this.#head === this.#messages.length || this.#head === maxTakenCount) {
        this.#messages = this.#messages.slice(this.#head);
        this.#head = 0;
      }
      this.#take(cost);
      return Promise.resolve({ done: false, value });
    }
    if (this.#error !== undefined && !this.#isEnded) {
      this.#isEnded = true;
      return Promise.reject(this.#error);
    }
    if (this.#isEnded || this.#isCancelled) return Promise.resolve(done);
    // Whoever waits has taken all there was, and a sender that waits must not wait for more.
    this.#giveBack();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.cancel();
    return Promise.resolve(done);
  }

  throw(): Promise<IteratorResult<T, undefined>> {
    return this.return();
  }

  /** Takes no more messages; those that have come are dropped. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.discard();
    for (const { resolve } of this.#waiting.splice(0)) resolve(done);
    if (!this.#isOver) this.#outlet.cancel();
    this.#isEnded = true;
    this.release();
  }

  /** Drops the messages that wait to be taken. */
  discard(): void {
    this.#messages = [];
    this.#head = 0;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
    return Promise.resolve();
  }

  // No more messages come, or none are wanted.
  get #isOver(): boolean {
    return this.#isEnded || this.#error !== undefined;
  }

  #take(cost: number): void {
    if (this.#isReleased) return;
    this.#takenBytes += cost;
    const isLast = this.#isEnded && this.count === 0;
    if (isLast || this.#takenBytes * 2 >= this.#windowBytes) this.#giveBack();
  }

  #giveBack(): void {
    const byteCount = this.#takenBytes;
    if (byteCount === 0) return;
    this.#takenBytes = 0;
    this.#outstandingBytes -= byteCount;
    this.#pool.release(byteCount);
    this.#outlet.sendCredit(byteCount);
  }

  /** The call is over: the sender counts nothing of it any more, and neither do we. */
  release(): void {
    this.#isReleased = true;
    this.#pool.release(this.#outstandingBytes);
    this.#outstandingBytes = 0;
    this.#takenBytes = 0;
  }
}
