// Numbers of a fixed width.
//
// Floats go through four or eight bytes of memory that two views share. A DataView of the buffer
// itself would have to be made for each message, for 40 ns and more.

import type { Reader } from "./reader.ts";
import { checkInteger } from "./varint.ts";

const words = new Int32Array(2);
const float32 = new Float32Array(words.buffer);
const float64 = new Float64Array(words.buffer);

export function readWord(buffer: Uint8Array, at: number): number {
  return (
    (buffer[at] as number) |
    ((buffer[at + 1] as number) << 8) |
    ((buffer[at + 2] as number) << 16) |
    ((buffer[at + 3] as number) << 24)
  );
}

export function writeWord(value: number, buffer: Uint8Array, at: number): number {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
  return at + 4;
}

export const fixed32 = {
  size(value: number): number {
    if (value >>> 0 !== value) checkInteger(value, 0, 0xffffffff);
    return 4;
  },

  write: writeWord,

  read(r: Reader): number {
    return readWord(r.buffer, r.take(4)) >>> 0;
  },
};

export const sfixed32 = {
  size(value: number): number {
    if ((value | 0) !== value) checkInteger(value, -0x80000000, 0x7fffffff);
    return 4;
  },

  write: writeWord,

  read(r: Reader): number {
    return readWord(r.buffer, r.take(4));
  },
};

export const float = {
  size(value: number): number {
    // Infinite only for what is finite and too large; NaN for what is infinite.
    const excess = Math.abs(Math.fround(value) - value);
    if (typeof value !== "number" || excess === Infinity) checkFloat(value);
    return 4;
  },

  write(value: number, buffer: Uint8Array, at: number): number {
    float32[0] = value;
    return writeWord(words[0] as number, buffer, at);
  },

  read(r: Reader): number {
    words[0] = readWord(r.buffer, r.take(4));
    return float32[0] as number;
  },
};

function checkFloat(value: unknown): void {
  const number = typeof value === "string" ? Number(value) : value;
  const isNumber = typeof number === "number" && (!Number.isNaN(number) || value === "NaN");
  if (!isNumber) throw new TypeError(`${String(value)} is no number`);
  if (!Number.isFinite(Math.fround(number)) && Number.isFinite(number)) {
    throw new RangeError(`${number} is too large for 32 bits`);
  }
}

export const double = {
  size(value: number): number {
    // Whatever becomes a number, as in protobuf-es; symbols and bigints do not.
    if (typeof value !== "number") float64[0] = value;
    return 8;
  },

  write(value: number, buffer: Uint8Array, at: number): number {
    float64[0] = value;
    return writeWord(words[1] as number, buffer, writeWord(words[0] as number, buffer, at));
  },

  read(r: Reader): number {
    const at = r.take(8);
    words[0] = readWord(r.buffer, at);
    words[1] = readWord(r.buffer, at + 4);
    return float64[0] as number;
  },
};
