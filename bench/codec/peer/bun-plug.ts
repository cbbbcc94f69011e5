import {
  decodeKey,
  decodeLarge,
  decodeRecord,
  decodeTest,
  decodeValue,
  encodeKey,
  encodeLarge,
  encodeRecord,
  encodeTest,
  encodeValue,
} from "../gen/codec_bench_codec.ts";
import { type Cases, messages } from "../messages.ts";

export const cases: Cases = {
  key: { encode: () => encodeKey(messages.key), decode: decodeKey },
  "value 16 B": { encode: () => encodeValue(messages["value 16 B"]), decode: decodeValue },
  "value 1 KiB": { encode: () => encodeValue(messages["value 1 KiB"]), decode: decodeValue },
  record: { encode: () => encodeRecord(messages.record), decode: decodeRecord },
  "large 64 KiB": { encode: () => encodeLarge(messages["large 64 KiB"]), decode: decodeLarge },
  "protobufjs' own": { encode: () => encodeTest(messages["protobufjs' own"]), decode: decodeTest },
};
