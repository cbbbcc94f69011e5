// Small checks that both halves of a connection make on what comes in.

import type { DescribedService } from "../call/incoming-call.ts";
import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import { decodeService, encodeService } from "../frame/service-payload.ts";
import { decodeMetadata } from "../metadata/metadata-block.ts";
import type { Metadata } from "../metadata/metadata.ts";
import { maxFramePayloadBytes } from "./bulk-queue.ts";

export const noPayload = new Uint8Array(0);

export function readU32(buffer: Uint8Array, at: number): number {
  return new DataView(buffer.buffer, buffer.byteOffset + at, 4).getUint32(0, true);
}

/** The length that leads the first frame of a split message. */
export function readTotal(buffer: Uint8Array, from: number, to: number): number {
  if (to - from < 4) throw new PlugError("protocol_error", "a split message lacks its length");
  return readU32(buffer, from);
}

/** A u32 that comes before the message of a request. */
export function readPrefix(
  what: string,
  id: number,
  buffer: Uint8Array,
  from: number,
  to: number,
): number {
  if (to - from >= 4) return readU32(buffer, from);
  throw new PlugError("protocol_error", `request ${id} lacks its ${what}`);
}

export function u32Payload(value: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, value, true);
  return payload;
}

/** The payload of a frame that is a u32 and nothing else. */
export function readU32Payload(kind: string, buffer: Uint8Array, from: number, to: number): number {
  if (to - from === 4) return readU32(buffer, from);
  throw new PlugError("protocol_error", `${kind} frame has ${to - from} bytes instead of 4`);
}

/**
 * The payload of a service frame.
 *
 * @throws {PlugError} `resource_exhausted`: the methods do not fit into a frame.
 */
export function describedPayload({ name, version, methods }: DescribedService): Uint8Array {
  const payload = encodeService({ name, versions: [version], methods, firstMethodId: 0 });
  if (payload.byteLength <= maxFramePayloadBytes) return payload;
  throw new PlugError(
    "resource_exhausted",
    `the methods of ${name} take ${payload.byteLength} bytes, more than ${maxFramePayloadBytes}`,
  );
}

/** The payload of a service frame. Copies what it keeps. */
export function readDescribed(buffer: Uint8Array, from: number, to: number): DescribedService {
  try {
    const { name, versions, methods } = decodeService(buffer.slice(from, to));
    return { name, version: versions[0] ?? 0, methods };
  } catch (cause) {
    const why = textOf(cause);
    throw new PlugError("protocol_error", `service frame cannot be read: ${why}`, { cause });
  }
}

export function outOfPlace(kind: string, id: number): PlugError {
  return new PlugError("protocol_error", `${kind} frame for request id ${id} is out of place`);
}

export function tooLarge(what: string, byteCount: number, maxMessageBytes: number): PlugError {
  return new PlugError(
    "resource_exhausted",
    `${what} has ${byteCount} bytes, more than maxMessageBytes ${maxMessageBytes}`,
  );
}

/** Where the metadata of a frame ends; it starts 4 bytes behind `from`. */
export function metadataEnd(buffer: Uint8Array, from: number, to: number): number {
  const end = from + 4 + (to - from < 4 ? to : readU32(buffer, from));
  if (end <= to) return end;
  throw new PlugError("protocol_error", "metadata is longer than its frame");
}

/** The metadata at the start of a frame that has some. */
export function readMetadata(buffer: Uint8Array, from: number, end: number): Metadata {
  return decodeMetadata(buffer, from + 4, end);
}
