// From an iterable to a stream: one message after the other, while there is credit.

import type { MessageSender } from "./message-sender.ts";

/** Where messages come from: a generator, an array, another stream. */
export type MessageSource<T> = AsyncIterable<T> | Iterable<T>;

/**
 * Sends what the source gives, until it ends or nothing may be sent any more; then the source is
 * told to stop, also while it is at work. Resolves when everything has gone out.
 *
 * @throws What the source throws, and what cannot be sent.
 */
export async function pump<T>(
  source: MessageSource<T>,
  sender: MessageSender,
  send: (value: T) => void,
): Promise<void> {
  const iterator = iteratorOf(source);
  let isOver = false;
  let stopWaiting: ((result: undefined) => void) | undefined;
  sender.onStop = () => stopWaiting?.(undefined);
  try {
    while (sender.stopReason === undefined) {
      if (!sender.isReady) await sender.ready();
      if (sender.stopReason !== undefined) break;
      let result = iterator.next() as IteratorResult<T> | Promise<IteratorResult<T>> | undefined;
      if (result instanceof Promise) {
        // One promise a message, and not a race with one promise that outlives them all: that one
        // would keep something of each.
        const next = result;
        result = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
          stopWaiting = resolve;
          next.then(resolve, reject);
        });
      }
      if (result === undefined || sender.stopReason !== undefined) break;
      if (result.done === true) {
        isOver = true;
        await sender.flushed();
        return;
      }
      send(result.value);
    }
  } finally {
    sender.onStop = undefined;
    // A generator that is at work hears of it when it comes back.
    if (!isOver) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

function iteratorOf<T>(source: MessageSource<T>): Iterator<T> | AsyncIterator<T> {
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  return source[Symbol.iterator]();
}
