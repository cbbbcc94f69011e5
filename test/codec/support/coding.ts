// Bytes of messages and back, by any codec.

import type { MessageCodec } from "bun-plug/codec";

export function encode<T>(codec: MessageCodec<T, never>, message: T): Uint8Array {
  const bytes = new Uint8Array(codec.size(message));
  if (codec.write(message, bytes, 0) !== bytes.length) throw new Error("wrote another size");
  return bytes;
}

export function decode<T>(codec: MessageCodec<T, never>, bytes: Uint8Array): T {
  return codec.read(bytes, 0, bytes.length, false);
}
