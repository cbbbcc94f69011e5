// What a caller streams, and what becomes of it.

import type { Blob } from "../gen/behaviour_pb.ts";
import { patternBytes } from "../../support/random.ts";

/** Numbers from 1 on. */
export function* numbersTo(last: number): Generator<{ number: bigint }> {
  for (let number = 1n; number <= last; number++) yield { number };
}

/** A source that says how far it came, and whether it was left. */
export interface Watched<T> {
  readonly messages: AsyncGenerator<T>;
  madeCount: number;
  isLeft: boolean;
}

/** Makes messages without end, or until it throws, with a pause between two of them. */
export function watched<T>(make: (index: number) => T, pauseMs = 0): Watched<T> {
  async function* messages(): AsyncGenerator<T> {
    try {
      for (;;) {
        const message = make(source.madeCount);
        source.madeCount += 1;
        yield message;
        if (pauseMs > 0) await Bun.sleep(pauseMs);
      }
    } finally {
      source.isLeft = true;
    }
  }
  const source: Watched<T> = { messages: messages(), madeCount: 0, isLeft: false };
  return source;
}

/** Gives one message and then nothing, for ever. */
export function stuck<T>(first: T): AsyncIterable<T> {
  return {
    async *[Symbol.asyncIterator]() {
      yield first;
      await new Promise(() => {});
    },
  };
}

export function blobs(...sizes: readonly number[]): { data: Uint8Array<ArrayBuffer> }[] {
  return sizes.map((byteCount, seed) => ({
    data: patternBytes(byteCount, seed) as Uint8Array<ArrayBuffer>,
  }));
}

/** The bytes as text, since an expectation of megabytes is slow to compare as an array. */
export function hashes(messages: readonly Pick<Blob, "data">[]): string[] {
  return messages.map(({ data }) => `${data.byteLength} ${Bun.hash(data)}`);
}
