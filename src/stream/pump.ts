// From an iterable to a stream: one message after the other, while there is credit.

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { MessageSender } from "./message-sender.ts";

/** Where messages come from: a generator, an array, another stream. */
export type MessageSource<T> = AsyncIterable<T> | Iterable<T>;

/** Whether messages can come from it. */
export function isMessageSource(value: unknown): value is MessageSource<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    (Symbol.asyncIterator in value || Symbol.iterator in value)
  );
}

/**
 * Sends what the source gives, until it ends or nothing may be sent any more; then the source is
 * told to stop, also while it is at work. Resolves when everything has gone out, or when a source
 * that was told to stop has left.
 *
 * @throws What the source throws, and what cannot be sent.
 */
export async function pump<T>(
  source: MessageSource<T>,
  sender: MessageSender,
  send: (value: T) => void,
): Promise<void> {
  const iterator = iteratorOf(source);
  let stopWaiting: (() => void) | undefined;
  sender.onStop = () => stopWaiting?.();
  try {
    for (;;) {
      if (!sender.isReady) await sender.ready();
      if (sender.isStopped) break;
      let result = iterator.next() as
        IteratorResult<T> | PromiseLike<IteratorResult<T>> | undefined;
      if (isPromised(result)) {
        // One promise a message, and not a race with one promise that outlives them all: that one
        // would keep something of each.
        const next = result;
        result = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
          stopWaiting = () => resolve(undefined);
          next.then(resolve, reject);
        });
      }
      if (result === undefined || sender.isStopped) break;
      if (result.done === true) {
        await sender.flushed();
        return;
      }
      // Looked at again and again: while the source was at work, and between the moment that the
      // sender is ready and this one, other streams may have used up what the connection had.
      while (!sender.isReady && !sender.isStopped) await sender.ready();
      if (sender.isStopped) break;
      try {
        send(result.value);
      } catch (error) {
        // Not waited for: whoever places the call shall hear of it, whatever the source does.
        void leave(iterator);
        throw error;
      }
    }
  } finally {
    sender.onStop = undefined;
  }
  // A generator that is at work hears of it when it comes back.
  await leave(iterator);
}

function iteratorOf<T>(source: MessageSource<T>): Iterator<T> | AsyncIterator<T> {
  if (!isMessageSource(source)) {
    throw new PlugError("invalid_argument", `messages must be iterable, got ${textOf(source)}`);
  }
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  return source[Symbol.iterator]();
}

function isPromised<T>(result: T | PromiseLike<T> | undefined): result is PromiseLike<T> {
  return typeof (result as { readonly then?: unknown } | undefined)?.then === "function";
}

async function leave(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // What happens to a source that nobody wants any more is of no use to anybody.
  }
}
