// Fields that a message has on the wire and not in its schema: kept as bytes, written back as they
// came. Extensions are among them.

import { lengthSize, writeVarint } from "./scalar/varint.ts";

interface UnknownField {
  readonly no: number;
  readonly wireType: number;
  readonly data: Uint8Array;
}

function tagOf({ no, wireType }: UnknownField): number {
  return ((no << 3) | wireType) >>> 0;
}

/** The size of a message's `$unknown`. */
export function unknownSize(fields: readonly UnknownField[]): number {
  let size = 0;
  for (const field of fields) size += lengthSize(tagOf(field)) + field.data.length;
  return size;
}

/** Writes a message's `$unknown`, and returns the offset behind it. */
export function writeUnknown(
  fields: readonly UnknownField[],
  buffer: Uint8Array,
  at: number,
): number {
  let pos = at;
  for (const field of fields) {
    pos = writeVarint(tagOf(field), buffer, pos);
    buffer.set(field.data, pos);
    pos += field.data.length;
  }
  return pos;
}
