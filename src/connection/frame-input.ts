// Small checks that both halves of a connection make on what comes in.

import { PlugError } from "../error/plug-error.ts";

export const noPayload = new Uint8Array(0);

export function readU32(buffer: Uint8Array, at: number): number {
  return new DataView(buffer.buffer, buffer.byteOffset + at, 4).getUint32(0, true);
}

/** The length that leads the first frame of a split message. */
export function readTotal(buffer: Uint8Array, from: number, to: number): number {
  if (to - from < 4) throw new PlugError("protocol_error", "a split message lacks its length");
  return readU32(buffer, from);
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
