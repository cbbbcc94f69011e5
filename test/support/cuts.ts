// Ways in which a stream can arrive.

import type { Random } from "./random.ts";

/** Every way of cutting a stream in two, with nothing in one of the halves at the ends. */
export function* cutsInTwo(stream: Uint8Array): Generator<readonly [Uint8Array, Uint8Array]> {
  for (let at = 0; at <= stream.byteLength; at++) {
    yield [stream.subarray(0, at), stream.subarray(at)];
  }
}

/** One byte per chunk. */
export function byteByByte(stream: Uint8Array): Uint8Array[] {
  return Array.from(stream, (_, at) => stream.subarray(at, at + 1));
}

/** Chunks of random length, from 1 to `maxChunkBytes` bytes. */
export function randomCuts(stream: Uint8Array, random: Random, maxChunkBytes: number) {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.byteLength;) {
    const end = Math.min(stream.byteLength, at + 1 + random(maxChunkBytes));
    chunks.push(stream.subarray(at, end));
    at = end;
  }
  return chunks;
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
