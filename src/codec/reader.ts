// What the generated `read` functions share: a place in a buffer, and how far they may go.
//
// Accepts and refuses what `fromBinary` of protobuf-es accepts and refuses, byte for byte: a field
// is found by its number, whatever the wire type of its tag, and a message inside another one may
// end behind its length, though never behind the outermost one.

import { PlugError } from "../error/plug-error.ts";
import { readBytes } from "./scalar/bytes.ts";

/** An entry of `$unknown`. */
interface UnknownField {
  readonly no: number;
  readonly wireType: number;
  readonly data: Uint8Array;
}

/** Most messages within one another, as in protobuf-es and most other implementations. */
const maxDepth = 100;

const lengthDelimited = 2;
const startGroup = 3;
const endGroup = 4;

const nothing = new Uint8Array(0);

export class Reader {
  buffer: Uint8Array = nothing;
  /** The next byte. */
  pos = 0;
  /** Behind the last byte of the outermost message: nothing there may be looked at. */
  limit = 0;
  /** Whether `bytes` may be views of the buffer. */
  owned = false;
  /** How many messages the next field is inside of. */
  depth = 0;
  #typeName = "";
  #from = 0;

  /** Begins to read the outermost message. */
  start(typeName: string, buffer: Uint8Array, from: number, to: number, owned: boolean): this {
    // A range that reaches out of the buffer would read as zeros.
    if (from < 0 || to > buffer.length || from > to) {
      throw new RangeError(`no bytes ${from} to ${to} in a buffer of ${buffer.length}`);
    }
    this.#typeName = typeName;
    this.#from = from;
    this.buffer = plain(buffer);
    this.pos = from;
    this.limit = to;
    this.owned = owned;
    this.depth = 1;
    return this;
  }

  /** Lets go of the buffer, which may be large. */
  end<T>(message: T): T {
    this.buffer = nothing;
    return message;
  }

  /** A field's number and wire type. */
  tag(): number {
    const tag = this.buffer[this.pos] as number;
    // One byte, so numbers up to 15. 7 would be the number 0, and there are no wire types 6 and 7.
    if (tag < 0x80 && tag > 7 && (tag & 7) < 6) {
      this.pos++;
      return tag;
    }
    return this.#longTag();
  }

  #longTag(): number {
    const at = this.pos;
    const tag = this.varint();
    const byteCount = this.pos - at;
    if (byteCount > 5 || (byteCount === 5 && (this.buffer[this.pos - 1] as number) > 0x0f)) {
      this.fail("a tag does not fit in 32 bits", at);
    }
    if (tag < 8) this.fail("there is no field 0", at);
    if ((tag & 7) > 5) this.fail(`there is no wire type ${tag & 7}`, at);
    return tag;
  }

  /** An unsigned varint of 32 bits; more bits are cut off. */
  varint(): number {
    const byte = this.buffer[this.pos] as number;
    if (byte < 0x80 && this.pos < this.limit) {
      this.pos++;
      return byte;
    }
    return this.#longVarint();
  }

  #longVarint(): number {
    const { buffer, limit, pos: at } = this;
    // Past the fifth byte, what a shift would bring is cut off: shifts count modulo 32.
    const end = Math.min(at + 10, limit);
    let value = 0;
    for (let pos = at, shift = 0; pos < end; pos++, shift += 7) {
      const byte = buffer[pos] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.pos = pos + 1;
        return value >>> 0;
      }
    }
    return this.fail(end === limit ? "ends within a varint" : "a varint has more than 10 bytes");
  }

  /** The length before a value; the value is all there. */
  length(): number {
    const at = this.pos;
    const length = this.varint();
    if (length > this.limit - this.pos) {
      this.fail(`${length} bytes are announced, and ${this.limit - this.pos} are left`, at);
    }
    return length;
  }

  /** Steps over the `byteCount` bytes of a value, and returns where they begin. */
  take(byteCount: number): number {
    const at = this.pos;
    if (byteCount > this.limit - at) {
      this.fail(`${byteCount} bytes are needed, and ${this.limit - at} are left`);
    }
    this.pos = at + byteCount;
    return at;
  }

  /** The end of the packed values that follow. */
  packed(): number {
    const length = this.length();
    return this.pos + length;
  }

  /** Goes into a message with a length before it, and returns its end. */
  enter(): number {
    if (++this.depth > maxDepth) this.fail(`more than ${maxDepth} messages within one another`);
    const length = this.length();
    return this.pos + length;
  }

  /** Goes into a message that ends with a tag. */
  enterGroup(): number {
    if (++this.depth > maxDepth) this.fail(`more than ${maxDepth} messages within one another`);
    return this.limit;
  }

  /** Comes out of a message. */
  leave<T>(message: T): T {
    this.depth--;
    return message;
  }

  /** Comes out of a message that ends with a tag: the one that was just read, if there was one. */
  leaveGroup<T>(message: T, no: number, tag: number): T {
    if (tag !== ((no << 3) | endGroup) >>> 0) this.fail(`group ${no} does not end`);
    this.depth--;
    return message;
  }

  /** Keeps a field that the message does not have. */
  unknown(message: { $unknown?: UnknownField[] | undefined }, tag: number): void {
    const at = this.pos;
    this.skip(tag);
    const data = readBytes(this, at, this.pos);
    (message.$unknown ??= []).push({ no: tag >>> 3, wireType: tag & 7, data });
  }

  /** Keeps a value that a closed enum does not have. */
  unknownEnum(
    message: { $unknown?: UnknownField[] | undefined },
    tag: number,
    value: number,
  ): void {
    const data: number[] = [];
    // An enum is an int32: ten bytes when it is negative.
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) data.push(Number(rest & 0x7fn) | 0x80);
    data.push(Number(rest));
    (message.$unknown ??= []).push({
      no: tag >>> 3,
      wireType: tag & 7,
      data: Uint8Array.from(data),
    });
  }

  /** Steps over the value of a field. */
  skip(tag: number, depth = this.depth): void {
    switch (tag & 7) {
      case 0:
        while ((this.buffer[this.take(1)] as number) > 0x7f);
        return;
      case 1:
        this.take(8);
        return;
      case lengthDelimited:
        this.take(this.length());
        return;
      case startGroup:
        this.#skipGroup(tag, depth);
        return;
      case 5:
        this.take(4);
        return;
      default:
        this.fail(`field ${tag >>> 3} ends a group that has not begun`);
    }
  }

  #skipGroup(tag: number, depth: number): void {
    if (depth >= maxDepth) this.fail(`more than ${maxDepth} messages within one another`);
    while (this.pos < this.limit) {
      const inner = this.tag();
      if ((inner & 7) === endGroup) {
        if (inner >>> 3 !== tag >>> 3) this.fail(`group ${tag >>> 3} ends as ${inner >>> 3}`);
        return;
      }
      this.skip(inner, depth + 1);
    }
    this.fail(`group ${tag >>> 3} does not end`);
  }

  /** @throws {PlugError} `data_loss`, always. */
  fail(reason: string, at = this.pos): never {
    const byteCount = this.limit - this.#from;
    // The buffer is not let go of by whoever was reading.
    this.buffer = nothing;
    throw new PlugError(
      "data_loss",
      `${byteCount} bytes are not a ${this.#typeName}: ${reason}, at offset ${at - this.#from}`,
    );
  }
}

// What is read must not depend on how the input is held, and `slice` of a Buffer is no copy.
function plain(buffer: Uint8Array): Uint8Array {
  if (Object.getPrototypeOf(buffer) === Uint8Array.prototype) return buffer;
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** One for all: reading is never interrupted. */
export const reader = new Reader();
