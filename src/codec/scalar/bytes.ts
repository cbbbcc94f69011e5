// Values with a length before them: bytes and strings.

import { gatherBytes, leaveOut } from "../../stream/gather.ts";
import type { Reader } from "../reader.ts";
import { lengthSize, writeVarint } from "./varint.ts";

// Buffer's methods work on every Uint8Array. They come straight from simdutf: TextDecoder takes
// 70 ns for 9 bytes and 133 ns for 1,000, utf8Slice 40 and 91; TextEncoder takes 47 ns, utf8Write 20.
const { latin1Slice, utf8Slice, utf8Write } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, from: number, to: number): string;
  utf8Slice(this: Uint8Array, from: number, to: number): string;
  utf8Write(this: Uint8Array, text: string, at: number, maxBytes: number): number;
};

// Up to here a loop over the characters is faster than a call into the runtime: 9 characters are
// sized in 11 ns and written in 12 to 16, against 13 and 20; 16 characters in 16 and 20, against
// 14 and 20.
const shortText = 12;
// The same for reading, where the loop only looks for a byte that is not ASCII: 9 bytes are read in
// 32 ns, against 42; 26 in 37, against 45; 48 in 47, against 45.
const shortRead = 32;

/**
 * From here on, `bytes` in memory that the reader may keep are views of it. Measured: a view takes
 * 35 ns whatever its length; a copy takes 31 ns up to 64 bytes, 38 ns for 256, and 136 ns for 1,024,
 * since memory of over 1,000 bytes is no longer from the garbage collector's own. Below, a view
 * would keep the whole buffer for a few bytes and gain nothing.
 */
export const viewBytes = 1024;

const empty: Uint8Array = new Uint8Array(0);

/** The bytes from `from` to `to`, safe to keep. */
export function readBytes(r: Reader, from: number, to: number): Uint8Array {
  const length = to - from;
  if (length === 0) return empty;
  if (r.owned && length >= viewBytes) return r.buffer.subarray(from, to);
  if (length > 16) return r.buffer.slice(from, to);
  // A loop copies 4 bytes in 10 ns and 16 in 17; slice takes 30.
  const { buffer } = r;
  const copy = new Uint8Array(length);
  for (let i = 0; i < length; i++) copy[i] = buffer[from + i] as number;
  return copy;
}

export const bytes = {
  /** What an unset field has; nobody can change it. */
  empty,

  size(value: Uint8Array): number {
    if (!(value instanceof Uint8Array)) throw new TypeError(`${typeof value} is no Uint8Array`);
    return lengthSize(value.length) + value.length;
  },

  write(value: Uint8Array, buffer: Uint8Array, at: number): number {
    const { length } = value;
    let pos = writeVarint(length, buffer, at);
    // A loop is faster up to 16 bytes: 15 ns, and 7 for 4; set takes 17.
    if (length > 16) {
      if (length >= gatherBytes && leaveOut(value, pos)) return pos;
      buffer.set(value, pos);
      return pos + length;
    }
    for (let i = 0; i < length; i++) buffer[pos++] = value[i] as number;
    return pos;
  },

  read(r: Reader): Uint8Array {
    const length = r.length();
    const from = r.pos;
    r.pos = from + length;
    return readBytes(r, from, r.pos);
  },
};

function utf8Bytes(text: string): number {
  const { length } = text;
  if (length > shortText) return Buffer.byteLength(text);
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) > 0x7f) return Buffer.byteLength(text);
  return length;
}

export const string = {
  size(text: string): number {
    if (typeof text !== "string") throw new TypeError(`${typeof text} is no string`);
    const byteCount = utf8Bytes(text);
    return lengthSize(byteCount) + byteCount;
  },

  // Surrogates without a partner become U+FFFD, as TextEncoder has it.
  write(text: string, buffer: Uint8Array, at: number): number {
    const { length } = text;
    if (length > shortText) return writeLong(text, buffer, at);
    let pos = at + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return writeLong(text, buffer, at);
      buffer[pos++] = code;
    }
    buffer[at] = length;
    return pos;
  },

  read(r: Reader): string {
    const length = r.length();
    const from = r.pos;
    r.pos = from + length;
    const text = decode(r.buffer, from, r.pos);
    // Nearly always false at once: U+FFFD cannot be in a string of one byte per character.
    if (text.includes("\ufffd")) checkUtf8(r, from);
    return text;
  },
};

/** `string` with the feature `utf8_validation = NONE`: what is not UTF-8 is read as U+FFFD. */
export const rawString = {
  size: string.size,
  write: string.write,

  read(r: Reader): string {
    const length = r.length();
    const from = r.pos;
    r.pos = from + length;
    return decode(r.buffer, from, r.pos);
  },
};

function decode(buffer: Uint8Array, from: number, to: number): string {
  const length = to - from;
  if (length > shortRead) return utf8Slice.call(buffer, from, to);
  if (length <= cachedText) return decodeCached(buffer, from, length);
  let all = 0;
  for (let i = from; i < to; i++) all |= buffer[i] as number;
  return all > 0x7f ? utf8Slice.call(buffer, from, to) : latin1Slice.call(buffer, from, to);
}

// Short texts come again and again: keys of maps, names, units, states. Those of up to 12 bytes that
// were read lately are found again without a call into the runtime, and a key that is found is
// already known to the engine as the name of a property. Measured, against a call each time: found
// again, 4 bytes take 12 ns instead of 31, and 12 bytes 26 instead of 33; not found, 36 and 43.
const cachedText = 12;
const cacheSlots = 1024;
const cache: string[] = new Array<string>(cacheSlots).fill("");

function decodeCached(buffer: Uint8Array, from: number, length: number): string {
  const to = from + length;
  let all = 0;
  let hash = length;
  for (let i = from; i < to; i++) {
    const byte = buffer[i] as number;
    all |= byte;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  if (all > 0x7f) return utf8Slice.call(buffer, from, to);
  const slot = (hash ^ (hash >>> 10)) & (cacheSlots - 1);
  const found = cache[slot] as string;
  if (found.length === length) {
    let i = 0;
    while (i < length && found.charCodeAt(i) === buffer[from + i]) i++;
    if (i === length) return found;
  }
  return (cache[slot] = latin1Slice.call(buffer, from, to));
}

let strictDecoder: TextDecoder | undefined;

// A text has U+FFFD because it was written so, or because the bytes are not UTF-8.
function checkUtf8(r: Reader, from: number): void {
  strictDecoder ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    strictDecoder.decode(r.buffer.subarray(from, r.pos));
  } catch {
    r.fail("a string is not UTF-8", from);
  }
}

function writeLong(text: string, buffer: Uint8Array, at: number): number {
  // The length before the text takes as many bytes as if it were ASCII, or else it moves.
  const guess = lengthSize(text.length);
  const byteCount = utf8Write.call(buffer, text, at + guess, buffer.length - at - guess);
  const needed = lengthSize(byteCount);
  if (needed !== guess) {
    buffer.copyWithin(at + needed, at + guess, at + guess + byteCount);
  }
  return writeVarint(byteCount, buffer, at) + byteCount;
}
