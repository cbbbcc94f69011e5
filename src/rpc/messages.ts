// Messages on their way between users and calls: one, and streams of them.

import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import { isMessageSource, type MessageSource } from "../stream/pump.ts";

/** A message from what a user passed. @throws {PlugError} `invalid_argument`: it cannot be one. */
export function message<T, Init>(
  codec: { readonly typeName: string; from(init: Init): T },
  init: Init,
): T {
  try {
    return codec.from(init);
  } catch (error) {
    if (isPlugError(error)) throw error;
    throw new PlugError("invalid_argument", `cannot make a ${codec.typeName}: ${textOf(error)}`, {
      cause: error,
    });
  }
}

// So that a call that nobody iterates is never placed, and takes no place.
export function iterableOnce<T>(
  start: () => AsyncIterableIterator<T, undefined, undefined>,
): AsyncIterable<T> {
  let isStarted = false;
  return {
    [Symbol.asyncIterator]() {
      if (isStarted) throw new PlugError("failed_precondition", "a stream can be iterated once");
      isStarted = true;
      try {
        return start();
      } catch (error) {
        return failed<T>(error);
      }
    },
  };
}

// What goes wrong is said by the first step, as it would be later.
async function* failed<T>(error: unknown): AsyncGenerator<T, undefined, undefined> {
  throw error;
}

/**
 * Like an async generator that yields `map` of each message, but for one thing: `return()` reaches
 * the source at once, also while it is at work on its next message.
 */
export function mapMessages<T, R>(
  source: MessageSource<T>,
  map: (message: T) => R,
): AsyncIterableIterator<R, undefined, undefined> {
  return new MappedMessages(Promise.resolve(source), map);
}

/** The messages of a source that is not there yet; `return()` reaches it when it is. */
export function messagesLater<T>(
  source: Promise<MessageSource<T>>,
): AsyncIterableIterator<T, undefined, undefined> {
  return new MappedMessages(source, (message) => message);
}

class MappedMessages<T, R> implements AsyncIterableIterator<R, undefined, undefined> {
  readonly #ready: Promise<void>;
  readonly #map: (message: T) => R;
  #iterator: Iterator<T> | AsyncIterator<T> | undefined;
  #isLeft = false;

  constructor(source: Promise<MessageSource<T>>, map: (message: T) => R) {
    this.#map = map;
    this.#ready = source.then((found) => {
      this.#iterator = iteratorOf(found);
      if (this.#isLeft) this.#leave().catch(() => {});
    });
    // Whoever calls `next` hears of it.
    this.#ready.catch(() => {});
  }

  async next(): Promise<IteratorResult<R, undefined>> {
    if (this.#isLeft) return done;
    await this.#ready;
    const result = await (this.#iterator as AsyncIterator<T>).next();
    if (result.done === true) return done;
    try {
      return { done: false, value: this.#map(result.value) };
    } catch (error) {
      await this.return();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<R, undefined>> {
    this.#isLeft = true;
    await this.#leave();
    return done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.return().then(() => {});
  }

  async #leave(): Promise<void> {
    await this.#iterator?.return?.();
  }
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

function iteratorOf<T>(source: MessageSource<T>): Iterator<T> | AsyncIterator<T> {
  if (!isMessageSource(source)) throw new TypeError("it is not iterable");
  const iterable = source as MessageSource<T>;
  if (Symbol.asyncIterator in iterable) return iterable[Symbol.asyncIterator]();
  return iterable[Symbol.iterator]();
}
