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
    return this.#tag(field, WireType.Varint).#varint(value);
  }

  fixed32(field: number, value: number): this {
    this.#tag(field, WireType.Bit32).#reserve(4);
    for (let shift = 0; shift < 32; shift += 8) this.#bytes[this.#end++] = value >>> shift;
    return this;
  }

  string(field: number, text: string): this {
    return this.bytes(field, toUtf8.encode(text));
  }

  /** Also for a message within the message. */
  bytes(field: number, bytes: Uint8Array): this {
    this.#tag(field, WireType.LengthDelimited).#varint(bytes.byteLength);
    this.#reserve(bytes.byteLength);
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.byteLength;
    return this;
  }

  /** The message. The writer is of no use any more. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#end);
  }

  #tag(field: number, wireType: number): this {
    return this.#varint(((field << 3) | wireType) >>> 0);
  }

  #varint(value: number): this {
    this.#reserve(5);
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.#end++] = rest | 0x80;
    this.#bytes[this.#end++] = rest;
    return this;
  }

  #reserve(byteCount: number): void {
    const needed = this.#end + byteCount;
    if (needed <= this.#bytes.byteLength) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** The value of one field, for whoever knows the field. */
export interface FieldReader {
  /** The lower 32 bits. */
  uint32(): number;
  fixed32(): number;
  /** What is not UTF-8 is read as U+FFFD. */
  string(): string;
  /** Borrowed: a view of the message. */
  bytes(): Uint8Array;
}

// More than any peer has to say: method ids have 16 bits. A message of many empty fields would
// make objects of far more memory than it has bytes.
const maxFieldCount = 70_000;

/**
 * Goes through a message. `read` says whether it took the field's value; one that it did not take
 * is skipped.
 *
 * @throws {Error} The bytes are not protobuf, or there are more fields than anybody needs.
 */
export function eachField(
  bytes: Uint8Array,
  read: (field: number, wireType: number, reader: FieldReader) => boolean,
): void {
  const reader = new Fields(bytes);
  for (let count = 1; !reader.isAtEnd; count++) {
    if (count > maxFieldCount) throw new Error(`more than ${maxFieldCount} fields`);
    const tag = reader.tag();
    if (!read(tag >>> 3, tag & 7, reader)) reader.skip(tag);
  }
}

const startGroup = 3;
const endGroup = 4;
// Groups within groups.
const maxDepth = 100;

class Fields implements FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.byteLength;
  }

  tag(): number {
    const from = this.#at;
    const tag = this.uint32();
    const byteCount = this.#at - from;
    const isLonger = byteCount > 5 || (byteCount === 5 && (this.#bytes[from + 4] as number) > 0x0f);
    if (isLonger || tag >>> 3 === 0) throw new Error("a tag is no field's");
    return tag;
  }

  uint32(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.#bytes[this.#take(1)] as number;
      if (i < 5) value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return value >>> 0;
    }
    throw new Error("a varint has more than 10 bytes");
  }

  fixed32(): number {
    const from = this.#take(4);
    let value = 0;
    for (let i = 0; i < 4; i++) value |= (this.#bytes[from + i] as number) << (8 * i);
    return value >>> 0;
  }

  string(): string {
    return fromUtf8.decode(this.bytes());
  }

  bytes(): Uint8Array {
    const byteCount = this.uint32();
    const from = this.#take(byteCount);
    return this.#bytes.subarray(from, from + byteCount);
  }

  skip(tag: number): void {
    const open: number[] = [];
    let next = tag;
    for (;;) {
      const field = next >>> 3;
      const wireType = next & 7;
      if (wireType === startGroup) {
        if (open.push(field) > maxDepth) throw new Error("groups are too deep");
      } else if (wireType === endGroup) {
        if (open.pop() !== field) throw new Error("a group ends that is not open");
      } else this.#skipValue(wireType);
      if (open.length === 0) return;
      next = this.tag();
    }
  }

  #skipValue(wireType: number): void {
    if (wireType === WireType.Varint) this.uint32();
    else if (wireType === WireType.Bit64) this.#take(8);
    else if (wireType === WireType.LengthDelimited) this.bytes();
    else if (wireType === WireType.Bit32) this.#take(4);
    else throw new Error(`there is no wire type ${wireType}`);
  }

  // Where the next bytes are, once they are known to be there.
  #take(byteCount: number): number {
    const from = this.#at;
    if (byteCount > this.#bytes.byteLength - from) throw new RangeError("ends within a field");
    this.#at = from + byteCount;
    return from;
  }
}
