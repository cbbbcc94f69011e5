// The two ends of a stream, as the model sees them: what goes in, and what comes out of it.

import type { MessageReceiver } from "../../../src/stream/message-receiver.ts";

/** What message `nth` of a stream looks like. */
export function messageOf(tag: number, nth: number, byteCount: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(8, byteCount)).fill((tag * 7 + nth) & 0xff);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, tag, true);
  view.setUint32(4, nth, true);
  return bytes;
}

function isMessage(bytes: Uint8Array, tag: number, nth: number): boolean {
  return Buffer.compare(bytes, messageOf(tag, nth, bytes.byteLength)) === 0;
}

/** Gives what it is told to, when it is told to. */
export class Source implements AsyncIterableIterator<Uint8Array> {
  readonly tag: number;
  readonly #queue: Uint8Array[] = [];
  #pushedCount = 0;
  #error: Error | undefined;
  #isEnded = false;
  #waiting: PromiseWithResolvers<IteratorResult<Uint8Array>> | undefined;
  /** Messages that were handed to the connection. */
  sentCount = 0;
  /** It has said its end, or its error, or was told to stop: nothing is kept waiting. */
  isOver = false;
  returnCount = 0;

  constructor(tag: number) {
    this.tag = tag;
  }

  get queuedCount(): number {
    return this.#queue.length;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get isFailed(): boolean {
    return this.#error !== undefined;
  }

  push(byteCount: number): void {
    this.#queue.push(messageOf(this.tag, this.#pushedCount++, byteCount));
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  fail(error: Error): void {
    this.#error = error;
    this.#isEnded = true;
    this.#wake();
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#wake();
    return promise;
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.returnCount += 1;
    this.isOver = true;
    this.#queue.length = 0;
    this.#isEnded = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const value = this.#queue.shift();
    if (value === undefined && !this.#isEnded) return;
    this.#waiting = undefined;
    if (value !== undefined) {
      waiting.resolve({ done: false, value });
      return;
    }
    this.isOver = true;
    if (this.#error === undefined) waiting.resolve({ done: true, value: undefined });
    else waiting.reject(this.#error);
  }
}

/** Takes messages, and looks that none is lost, doubled, torn or out of its order. */
export class Reading {
  readonly #receiver: MessageReceiver<Uint8Array>;
  readonly #tag: number;
  readonly #onFault: (text: string) => void;
  /** Messages that have come. */
  seenCount = 0;
  /** `next()` calls that wait. */
  waitingCount = 0;
  isEnded = false;
  isLeft = false;
  error: unknown;

  constructor(receiver: MessageReceiver<Uint8Array>, tag: number, onFault: (text: string) => void) {
    this.#receiver = receiver;
    this.#tag = tag;
    this.#onFault = onFault;
  }

  get isOver(): boolean {
    return this.isEnded || this.error !== undefined;
  }

  /** Others may be waiting already: whoever asks first is given the first message. */
  read(): void {
    this.waitingCount += 1;
    this.#receiver.next().then(
      ({ done, value }) => {
        this.waitingCount -= 1;
        if (done === true) this.isEnded = true;
        else this.#take(value);
      },
      (error: unknown) => {
        this.waitingCount -= 1;
        if (this.isOver) this.#onFault(`stream ${this.#tag} failed after its end`);
        this.error = error;
      },
    );
  }

  leave(): void {
    this.isLeft = true;
    void this.#receiver.return();
  }

  #take(message: Uint8Array): void {
    if (this.isOver) this.#onFault(`stream ${this.#tag} gave a message after its end`);
    if (!isMessage(message, this.#tag, this.seenCount)) {
      this.#onFault(`stream ${this.#tag} gave something else for message ${this.seenCount}`);
    }
    this.seenCount += 1;
  }
}
