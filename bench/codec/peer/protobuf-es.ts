import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

import {
  KeySchema,
  LargeSchema,
  RecordSchema,
  TestSchema,
  ValueSchema,
} from "../gen/codec_bench_pb.ts";
import { type Case, type Cases, messages } from "../messages.ts";

function of<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Case {
  return {
    encode: () => toBinary(schema, message),
    decode: (bytes) => fromBinary(schema, bytes),
  };
}

export const cases: Cases = {
  key: of(KeySchema, messages.key),
  "value 16 B": of(ValueSchema, messages["value 16 B"]),
  "value 1 KiB": of(ValueSchema, messages["value 1 KiB"]),
  record: of(RecordSchema, messages.record),
  "large 64 KiB": of(LargeSchema, messages["large 64 KiB"]),
  "protobufjs' own": of(TestSchema, messages["protobufjs' own"]),
};
