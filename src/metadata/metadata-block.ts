// Metadata as bytes.
//
//   message Metadata { repeated Entry entries = 1; }
//   message Entry { string name = 1; bytes value = 2; }

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import { eachField, FieldWriter, textOfField, WireType } from "../protobuf/fields.ts";
import { Metadata } from "./metadata.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const toUtf8 = new TextEncoder();

/**
 * @param what such as `"headers of example.KV.Get"`, for the error.
 * @throws {PlugError} `resource_exhausted`: it is longer than the peer takes.
 */
export function encodeMetadata(metadata: Metadata, maxBytes: number, what: string): Uint8Array {
  const writer = new FieldWriter();
  for (const [name, value] of metadata) {
    const entry = new FieldWriter().string(1, name);
    entry.bytes(2, typeof value === "string" ? toUtf8.encode(value) : value);
    writer.bytes(1, entry.finish());
  }
  const bytes = writer.finish();
  if (bytes.byteLength > maxBytes) throw metadataTooLarge(what, bytes.byteLength, maxBytes);
  return bytes;
}

export function metadataTooLarge(what: string, byteCount: number, maxBytes: number): PlugError {
  return new PlugError(
    "resource_exhausted",
    `${what} have ${byteCount} bytes, more than maxMetadataBytes ${maxBytes}`,
  );
}

/**
 * Copies what it keeps.
 *
 * @throws {PlugError} `protocol_error`: the bytes are not metadata.
 */
export function decodeMetadata(buffer: Uint8Array, from: number, to: number): Metadata {
  const metadata = new Metadata();
  try {
    eachField(buffer.slice(from, to), (field, wireType, _number, bytes) => {
      if (field === 1 && wireType === WireType.LengthDelimited) readEntry(bytes, metadata);
    });
  } catch (cause) {
    throw new PlugError(
      "protocol_error",
      `${to - from} bytes of metadata cannot be read: ${textOf(cause)}`,
      { cause },
    );
  }
  return metadata;
}

function readEntry(bytes: Uint8Array, metadata: Metadata): void {
  let name = "";
  let value: Uint8Array = new Uint8Array(0);
  eachField(bytes, (field, wireType, _number, bytes) => {
    if (wireType !== WireType.LengthDelimited) return;
    if (field === 1) name = textOfField(bytes);
    else if (field === 2) value = bytes;
  });
  metadata.append(name, name.endsWith("-bin") ? value : utf8.decode(value));
}
