// Integers of 32 bits, enums and bools, as varints, and the lengths before values.
//
// `size` refuses what the type cannot hold, `write` then trusts it. Like protobuf-es, both take
// digits in a string.

import type { Reader } from "./reader.ts";

/** How many bytes a length takes. */
export function lengthSize(length: number): number {
  if (length < 0x80) return 1;
  if (length < 0x4000) return 2;
  if (length < 0x200000) return 3;
  if (length < 0x10000000) return 4;
  if (length > 0xffffffff) throw new RangeError(`${length} bytes are too many for one field`);
  return 5;
}

/** Writes an unsigned number of 32 bits, and returns the offset behind it. */
export function writeVarint(value: number, buffer: Uint8Array, at: number): number {
  let rest = value;
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
  return at;
}

/** Refuses what is not a whole number in the range. */
export function checkInteger(value: unknown, min: number, max: number): void {
  const number = typeof value === "string" ? Number(value) : value;
  const isInteger = typeof number === "number" && Number.isInteger(number);
  if (!isInteger || number < min || number > max) {
    throw new RangeError(`${String(value)} is no whole number from ${min} to ${max}`);
  }
}

export const int32 = {
  size(value: number): number {
    if ((value | 0) !== value) checkInteger(value, -0x80000000, 0x7fffffff);
    // Negative numbers go as 64 bits, so that an int64 reads them too.
    return value < 0 ? 10 : lengthSize(value);
  },

  write(value: number, buffer: Uint8Array, at: number): number {
    if (value >= 0) return writeVarint(value, buffer, at);
    let rest = value;
    for (let i = 0; i < 9; i++) {
      buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    buffer[at++] = 1;
    return at;
  },

  read(r: Reader): number {
    return r.varint() | 0;
  },
};

export const uint32 = {
  size(value: number): number {
    if (value >>> 0 !== value) checkInteger(value, 0, 0xffffffff);
    return lengthSize(value);
  },

  write: writeVarint,

  read(r: Reader): number {
    return r.varint();
  },
};

export const sint32 = {
  size(value: number): number {
    if ((value | 0) !== value) checkInteger(value, -0x80000000, 0x7fffffff);
    return lengthSize(((value << 1) ^ (value >> 31)) >>> 0);
  },

  write(value: number, buffer: Uint8Array, at: number): number {
    return writeVarint(((value << 1) ^ (value >> 31)) >>> 0, buffer, at);
  },

  read(r: Reader): number {
    const value = r.varint();
    return (value >>> 1) ^ -(value & 1);
  },
};

export const bool = {
  size(_value: boolean): number {
    return 1;
  },

  write(value: boolean, buffer: Uint8Array, at: number): number {
    buffer[at] = value ? 1 : 0;
    return at + 1;
  },

  // Any bit of the 64 counts, so cutting off those above 32 will not do.
  read(r: Reader): boolean {
    const { buffer, limit } = r;
    let isSet = 0;
    const end = Math.min(r.pos + 10, limit);
    for (let { pos } = r; pos < end; pos++) {
      const byte = buffer[pos] as number;
      isSet |= byte & 0x7f;
      if (byte < 0x80) {
        r.pos = pos + 1;
        return isSet !== 0;
      }
    }
    return r.fail(end === limit ? "ends within a bool" : "a varint has more than 10 bytes");
  },
};
