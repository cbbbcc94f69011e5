// The sizes of what has a length before it: found by `size`, used by `write`.
//
// Without them, `write` would size each message again for each message that it is in: work that
// grows with the square of the depth.

import { lengthSize, writeVarint } from "./scalar/varint.ts";

// In the order in which the fields are visited, which is the same for both.
let sizes: number[] = [];
let next = 0;
/** Whose sizes they are. */
let owner: unknown;

// Most that are kept from one message to the next: half a megabyte of memory.
const maxKept = 65_536;

/** Before `size` of a message that has such fields. */
export function beginSize<T>(message: T): T {
  if (sizes.length > maxKept) sizes = [];
  next = 0;
  owner = message;
  return message;
}

/** Before `write`. A message that was not the last one to be sized is sized again. */
export function beginWrite<T>(message: T, size: (message: T) => number): T {
  if (owner !== message) size(beginSize(message));
  owner = undefined;
  next = 0;
  return message;
}

/** Keeps a place for a size, since what is inside comes behind it. */
export function hold(): number {
  sizes[next] = 0; // no holes, though what is inside is filled first
  return next++;
}

/** Fills the place; returns the size with its length before it. */
export function held(place: number, size: number): number {
  sizes[place] = size;
  return lengthSize(size) + size;
}

/** Writes the next size in the order of {@link hold}, and returns the offset behind it. */
export function writeHeld(buffer: Uint8Array, at: number): number {
  return writeVarint(sizes[next++] as number, buffer, at);
}
