// Integers of 32 bits, enums and bools, as varints, and the lengths before values.
//
// `size` refuses what the type cannot hold, `write` then trusts it. Like protobuf-es, both take
// digits in a string. The loops over lists look at what is strange once, behind the loop: for 8,000
// numbers that takes 15 µs, and 20 to 80 with a check and a call for each.

import type { Reader } from "../reader.ts";

/** How many bytes a length takes. */
export function lengthSize(length: number): number {
  if (length < 0x80) return 1;
  if (length < 0x4000) return 2;
  if (length < 0x200000) return 3;
  if (length < 0x10000000) return 4;
  if (length > 0xffffffff) throw new RangeError(`${length} bytes are too many for one field`);
  return 5;
}

/** How many bytes an unsigned number of 32 bits takes: one for every 7 bits, found without branches. */
function varintSize(value: number): number {
  return (352 - Math.clz32(value) * 9) >>> 6;
}

/** Writes an unsigned number of 32 bits, and returns the offset behind it. */
export function writeVarint(value: number, buffer: Uint8Array, at: number): number {
  // As a signed number, since the engine keeps unsigned ones above 2^31 as doubles.
  const bits = value | 0;
  if ((bits & ~0x7f) !== 0) return writeLongVarint(bits, buffer, at);
  buffer[at] = bits;
  return at + 1;
}

// Written out, 8,000 numbers of all lengths take 16 µs; as a loop over the bytes, 26.
function writeLongVarint(bits: number, buffer: Uint8Array, at: number): number {
  buffer[at] = bits | 0x80;
  if ((bits & ~0x3fff) === 0) {
    buffer[at + 1] = bits >>> 7;
    return at + 2;
  }
  buffer[at + 1] = (bits >>> 7) | 0x80;
  if ((bits & ~0x1fffff) === 0) {
    buffer[at + 2] = bits >>> 14;
    return at + 3;
  }
  buffer[at + 2] = (bits >>> 14) | 0x80;
  if ((bits & ~0xfffffff) === 0) {
    buffer[at + 3] = bits >>> 21;
    return at + 4;
  }
  buffer[at + 3] = (bits >>> 21) | 0x80;
  buffer[at + 4] = bits >>> 28;
  return at + 5;
}

/** Refuses what is not a whole number in the range. */
export function checkInteger(value: unknown, min: number, max: number): void {
  const number = typeof value === "string" ? Number(value) : value;
  const isInteger = typeof number === "number" && Number.isInteger(number);
  if (!isInteger || number < min || number > max) {
    throw new RangeError(`${String(value)} is no whole number from ${min} to ${max}`);
  }
}

export function checkInt32(value: number): void {
  if ((value | 0) !== value) checkInteger(value, -0x80000000, 0x7fffffff);
}

export function checkUint32(value: number): void {
  if (value >>> 0 !== value) checkInteger(value, 0, 0xffffffff);
}

function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

export const int32 = {
  size(value: number): number {
    checkInt32(value);
    // Negative numbers go as 64 bits, so that an int64 reads them too.
    return value < 0 ? 10 : varintSize(value);
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

  sizeAll(list: readonly number[]): number {
    let size = 0;
    let strange = 0;
    for (let i = 0; i < list.length; i++) {
      const value = list[i] as number;
      size += value < 0 ? 10 : varintSize(value);
      if ((value | 0) !== value) strange++;
    }
    if (strange > 0) list.forEach(checkInt32);
    return size;
  },

  writeAll(list: readonly number[], buffer: Uint8Array, at: number): number {
    for (const value of list) {
      if (value < 0) at = int32.write(value, buffer, at);
      else if (value < 0x80) buffer[at++] = value;
      else at = writeLongVarint(value | 0, buffer, at);
    }
    return at;
  },

  readAll(r: Reader, tag: number, list: number[]): void {
    readAll(r, tag, list, false);
  },
};

export const uint32 = {
  size(value: number): number {
    checkUint32(value);
    return varintSize(value);
  },

  write: writeVarint,

  read(r: Reader): number {
    return r.varint();
  },

  sizeAll(list: readonly number[]): number {
    let size = 0;
    let strange = 0;
    for (let i = 0; i < list.length; i++) {
      const value = list[i] as number;
      size += varintSize(value);
      if (value >>> 0 !== value) strange++;
    }
    if (strange > 0) list.forEach(checkUint32);
    return size;
  },

  writeAll(list: readonly number[], buffer: Uint8Array, at: number): number {
    return writeAll(list, buffer, at);
  },

  readAll(r: Reader, tag: number, list: number[]): void {
    readAll(r, tag, list, true);
  },
};

export const sint32 = {
  size(value: number): number {
    checkInt32(value);
    return varintSize(zigzag(value));
  },

  write(value: number, buffer: Uint8Array, at: number): number {
    return writeVarint(zigzag(value), buffer, at);
  },

  read(r: Reader): number {
    const value = r.varint();
    return (value >>> 1) ^ -(value & 1);
  },

  sizeAll(list: readonly number[]): number {
    let size = 0;
    let strange = 0;
    for (let i = 0; i < list.length; i++) {
      const value = list[i] as number;
      size += varintSize(zigzag(value));
      if ((value | 0) !== value) strange++;
    }
    if (strange > 0) list.forEach(checkInt32);
    return size;
  },

  writeAll(list: readonly number[], buffer: Uint8Array, at: number): number {
    for (const value of list) at = writeVarint(zigzag(value), buffer, at);
    return at;
  },

  readAll(r: Reader, tag: number, list: number[]): void {
    let at = list.length;
    readAll(r, tag, list, true);
    for (; at < list.length; at++) {
      const value = list[at] as number;
      list[at] = (value >>> 1) ^ -(value & 1);
    }
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
    const byte = r.buffer[r.pos] as number;
    if (byte < 0x80 && r.pos < r.limit) {
      r.pos++;
      return byte !== 0;
    }
    return readLongBool(r);
  },

  sizeAll(list: readonly boolean[]): number {
    return list.length;
  },

  writeAll(list: readonly boolean[], buffer: Uint8Array, at: number): number {
    for (const value of list) buffer[at++] = value ? 1 : 0;
    return at;
  },

  readAll(r: Reader, tag: number, list: boolean[]): void {
    if ((tag & 7) !== 2) list.push(bool.read(r));
    else for (const end = r.packed(); r.pos < end;) list.push(bool.read(r));
  },
};

function readLongBool(r: Reader): boolean {
  const { buffer, limit } = r;
  const end = Math.min(r.pos + 10, limit);
  let bits = 0;
  for (let { pos } = r; pos < end; pos++) {
    const byte = buffer[pos] as number;
    bits |= byte & 0x7f;
    if (byte < 0x80) {
      r.pos = pos + 1;
      return bits !== 0;
    }
  }
  return r.fail(end === limit ? "ends within a bool" : "a varint has more than 10 bytes");
}

// writeVarint again, which the engine would not inline into the loop: 8,000 numbers of all lengths
// take 16 µs like this, and 24 with a call for those of over three bytes.
function writeAll(list: readonly number[], buffer: Uint8Array, at: number): number {
  for (let i = 0; i < list.length; i++) {
    const bits = (list[i] as number) | 0;
    if ((bits & ~0x7f) === 0) {
      buffer[at++] = bits;
      continue;
    }
    buffer[at] = bits | 0x80;
    if ((bits & ~0x3fff) === 0) {
      buffer[at + 1] = bits >>> 7;
      at += 2;
      continue;
    }
    buffer[at + 1] = (bits >>> 7) | 0x80;
    if ((bits & ~0x1fffff) === 0) {
      buffer[at + 2] = bits >>> 14;
      at += 3;
      continue;
    }
    buffer[at + 2] = (bits >>> 14) | 0x80;
    if ((bits & ~0xfffffff) === 0) {
      buffer[at + 3] = bits >>> 21;
      at += 4;
      continue;
    }
    buffer[at + 3] = (bits >>> 21) | 0x80;
    buffer[at + 4] = bits >>> 28;
    at += 5;
  }
  return at;
}

/** Reads a list's next value, or its packed values. */
function readAll(r: Reader, tag: number, list: number[], isUnsigned: boolean): void {
  if ((tag & 7) !== 2) {
    list.push(isUnsigned ? r.varint() : r.varint() | 0);
    return;
  }
  const end = r.packed();
  const { buffer } = r;
  // Four bytes may be looked at before it is known whether the varint has as many.
  const safe = Math.min(end, r.limit - 3);
  let { pos } = r;
  while (pos < safe) {
    const at = pos;
    let byte = buffer[pos++] as number;
    let value = byte & 0x7f;
    if (byte > 0x7f) {
      byte = buffer[pos++] as number;
      value |= (byte & 0x7f) << 7;
      if (byte > 0x7f) {
        byte = buffer[pos++] as number;
        value |= (byte & 0x7f) << 14;
        if (byte > 0x7f) {
          byte = buffer[pos++] as number;
          value |= (byte & 0x7f) << 21;
          if (byte > 0x7f) {
            r.pos = at;
            value = isUnsigned ? r.varint() : r.varint() | 0;
            pos = r.pos;
          }
        }
      }
    }
    list.push(value);
  }
  r.pos = pos;
  while (r.pos < end) list.push(isUnsigned ? r.varint() : r.varint() | 0);
}
