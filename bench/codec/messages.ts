// The messages of the benchmark, as protobuf-es has them. Each library makes its own of them.

import { create } from "@bufbuild/protobuf";

import {
  KeySchema,
  LargeSchema,
  RecordSchema,
  Test_Enum,
  TestSchema,
  ValueSchema,
} from "./gen/codec_bench_pb.ts";

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff);
}

/** By the name of the row. */
export const messages = {
  key: create(KeySchema, { key: "colour-17" }),
  "value 16 B": create(ValueSchema, { value: bytesOf(16) }),
  "value 1 KiB": create(ValueSchema, { value: bytesOf(1024) }),
  record: create(RecordSchema, {
    name: "a record of seven fields",
    revision: 1_234,
    active: true,
    score: 0.75,
    tags: ["green", "large", "on sale", "new"],
    counts: { apples: 3, pears: 250, plums: 70_000 },
    child: { key: "child-1", number: 42 },
  }),
  // 330 lines of 100 characters, 8,000 numbers of one to five bytes, 1,000 doubles.
  "large 64 KiB": create(LargeSchema, {
    lines: Array.from({ length: 330 }, (_, i) => `line ${i}: `.padEnd(100, "the quick brown fox ")),
    numbers: Array.from({ length: 8_000 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> (1 + (i % 31))),
    samples: Array.from({ length: 1_000 }, (_, i) => i / 7),
  }),
  // The values of protobufjs's own benchmark, bench.json.
  "protobufjs' own": create(TestSchema, {
    string: "Lorem ipsum dolor sit amet.",
    uint32: 9000,
    inner: {
      int32: 20161110,
      innerInner: { long: (151_234n << 32n) | 1_051n, enum: Test_Enum.TWO, sint32: -42 },
      outer: { bool: [true, false, false, true, false, false, true], double: 204.8 },
    },
    float: 0.25,
  }),
};

export type MessageName = keyof typeof messages;

/** What a library does with one message. */
export interface Case {
  /** Encodes the message into memory of its own. */
  readonly encode: () => Uint8Array;
  /** Encodes the message into memory that is there: what a connection does. */
  readonly write?: () => number;
  readonly decode: (bytes: Uint8Array) => unknown;
}

export type Cases = Readonly<Record<MessageName, Case>>;
