// Fields of the few messages that are the protocol's own: handshake, services, errors, metadata.
//
// Not for messages of users, which have a codec each. protobuf-es would do it as well, but a plugin
// would load it for nothing else, before its first word: 1 ms of the 10 that a start took.

/** How a value is laid out, in the lower bits of its tag. */
export const WireType = { Varint: 0, Bit64: 1, LengthDelimited: 2, Bit32: 5 } as const;

const toUtf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Puts a message together. Fields stand in the order in which they are written. */
export class FieldWriter {
  #bytes = new Uint8Array(256);
  #end = 0;

  /** @throws {RangeError} It does not fit 32 bits. */
  uint32(field: number, value: number): this {
    if (value >>> 0 !== value) throw new RangeError(`${value} is no whole number of 32 bits`);
    this.#start(field, WireType.Varint, value, 0);
    return this;
  }

  fixed32(field: number, value: number): this {
    this.#start(field, WireType.Bit32, undefined, 4);
    for (let shift = 0; shift < 32; shift += 8) this.#bytes[this.#end++] = value >>> shift;
    return this;
  }

  string(field: number, text: string): this {
    return this.bytes(field, toUtf8.encode(text));
  }

  /** Also for a message within the message. */
  bytes(field: number, bytes: Uint8Array): this {
    const { byteLength } = bytes;
    this.#start(field, WireType.LengthDelimited, byteLength, byteLength);
    this.#bytes.set(bytes, this.#end);
    this.#end += byteLength;
    return this;
  }

  /** The message. The writer is of no use any more. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#end);
  }

  // The tag, perhaps a number behind it, and room for so many bytes more.
  #start(field: number, wireType: number, value: number | undefined, byteCount: number): void {
    const needed = this.#end + 10 + byteCount;
    if (needed > this.#bytes.byteLength) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    const bytes = this.#bytes;
    let at = this.#end;
    let rest = ((field << 3) | wireType) >>> 0;
    for (; rest > 0x7f; rest >>>= 7) bytes[at++] = rest | 0x80;
    bytes[at++] = rest;
    if (value !== undefined) {
      for (rest = value; rest > 0x7f; rest >>>= 7) bytes[at++] = rest | 0x80;
      bytes[at++] = rest;
    }
    this.#end = at;
  }
}

/**
 * Takes one field. `value` is the number of a field of wire type `Varint`, its lower 32 bits, or
 * `Bit32`, and else 0; `bytes` are those of a field that is `LengthDelimited`, a view of the
 * message, and else empty. Other wire types are skipped.
 */
export type TakeField = (field: number, wireType: number, value: number, bytes: Uint8Array) => void;

// More than any peer has to say: method ids have 16 bits. A message of many empty fields would
// make objects of far more memory than it has bytes.
const maxFieldCount = 70_000;
const empty = new Uint8Array(0);

/**
 * Goes through a message.
 *
 * @throws {Error} The bytes are not protobuf, or there are more fields than anybody needs.
 */
export function eachField(message: Uint8Array, take: TakeField): void {
  const end = message.byteLength;
  for (let at = 0, count = 1; at < end; count++) {
    if (count > maxFieldCount) throw new Error(`more than ${maxFieldCount} fields`);
    // No function for each number: a plugin that starts would have the engine compile it after 30
    // calls, which takes longer than all the rest of this.
    let byte = message[at++] as number;
    let tag = byte;
    if (byte > 0x7f) {
      tag = longVarint(message, at - 1);
      if (varintEnd - at > 4 || (varintEnd - at === 4 && (message[at + 3] as number) > 0x0f)) {
        throw new Error("a tag has more than 32 bits");
      }
      at = varintEnd;
    }
    const field = tag >>> 3;
    if (field === 0) throw new Error("there is no field 0");
    const wireType = tag & 7;
    let value = 0;
    let bytes: Uint8Array = empty;
    if (wireType === WireType.Varint || wireType === WireType.LengthDelimited) {
      if (at === end) throw endsWithin();
      byte = message[at++] as number;
      value = byte;
      if (byte > 0x7f) {
        value = longVarint(message, at - 1);
        at = varintEnd;
      }
      if (wireType === WireType.LengthDelimited) {
        if (value > end - at) throw endsWithin();
        bytes = message.subarray(at, (at += value));
        value = 0;
      }
    } else if (wireType === WireType.Bit32) {
      if (end - at < 4) throw endsWithin();
      for (let shift = 0; shift < 32; shift += 8) value |= (message[at++] as number) << shift;
      value >>>= 0;
    } else {
      at = skip(message, at, tag);
      continue;
    }
    take(field, wireType, value, bytes);
  }
}

/** What is not UTF-8 is read as U+FFFD. */
export function textOfField(bytes: Uint8Array): string {
  return fromUtf8.decode(bytes);
}

// Where the last varint ended.
let varintEnd = 0;

function longVarint(message: Uint8Array, from: number): number {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = message[from + i];
    if (byte === undefined) throw endsWithin();
    if (i < 5) value |= (byte & 0x7f) << (7 * i);
    if (byte > 0x7f) continue;
    varintEnd = from + i + 1;
    return value >>> 0;
  }
  throw new Error("a varint has more than 10 bytes");
}

function endsWithin(): Error {
  return new RangeError("ends within a field");
}

const startGroup = 3;
const endGroup = 4;
// Groups within groups.
const maxDepth = 100;

// What the protocol never has: 64 bits, and groups. Returns where it ends.
function skip(message: Uint8Array, from: number, tag: number): number {
  const open: number[] = [];
  let at = from;
  for (let next = tag; ;) {
    const wireType = next & 7;
    if (wireType === startGroup) {
      if (open.push(next >>> 3) > maxDepth) throw new Error("groups are too deep");
    } else if (wireType === endGroup) {
      if (open.pop() !== next >>> 3) throw new Error("a group ends that is not open");
    } else {
      at = skipValue(message, at, wireType);
    }
    if (open.length === 0) return at;
    next = longVarint(message, at);
    const byteCount = varintEnd - at;
    at = varintEnd;
    const isLong = byteCount > 5 || (byteCount === 5 && (message[at - 1] as number) > 0x0f);
    if (isLong || next >>> 3 === 0) throw new Error("a tag is no field's");
  }
}

function skipValue(message: Uint8Array, from: number, wireType: number): number {
  let at = from;
  if (wireType === WireType.Varint || wireType === WireType.LengthDelimited) {
    const value = longVarint(message, at);
    at = varintEnd + (wireType === WireType.LengthDelimited ? value : 0);
  } else if (wireType === WireType.Bit64) at += 8;
  else if (wireType === WireType.Bit32) at += 4;
  else throw new Error(`there is no wire type ${wireType}`);
  if (at > message.byteLength) throw endsWithin();
  return at;
}
