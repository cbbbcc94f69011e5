import type { MessageCodec } from "bun-plug/codec";

import {
  encodeKey,
  encodeLarge,
  encodeRecord,
  encodeTest,
  encodeValue,
  KeyCodec,
  LargeCodec,
  RecordCodec,
  TestCodec,
  ValueCodec,
} from "../gen/codec_bench_codec.ts";
import { type Case, type Cases, messages } from "../messages.ts";

const buffer = new Uint8Array(70_000);

function of<T>(
  codec: MessageCodec<T, never>,
  encode: (message: T) => Uint8Array,
  message: T,
): Case {
  return {
    encode: () => encode(message),
    write: () => {
      codec.size(message);
      return codec.write(message, buffer, 12);
    },
    // All others make `bytes` views of what they read, so the comparison is with views.
    decode: (bytes) => codec.read(bytes, 0, bytes.length, true),
  };
}

export const cases: Cases = {
  key: of(KeyCodec, encodeKey, messages.key),
  "value 16 B": of(ValueCodec, encodeValue, messages["value 16 B"]),
  "value 1 KiB": of(ValueCodec, encodeValue, messages["value 1 KiB"]),
  record: of(RecordCodec, encodeRecord, messages.record),
  "large 64 KiB": of(LargeCodec, encodeLarge, messages["large 64 KiB"]),
  "protobufjs' own": of(TestCodec, encodeTest, messages["protobufjs' own"]),
};
