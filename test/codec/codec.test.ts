// What the printed codecs promise besides the bytes; those are in differential.test.ts.

import { describe, expect, test } from "bun:test";

import { create, isMessage, type Message, toBinary } from "@bufbuild/protobuf";
import type { MessageCodec } from "bun-plug/codec";

import {
  type TestAllTypesProto2,
  TestAllTypesProto2Schema,
} from "../conformance/gen/google/protobuf/test_messages_proto2_pb.ts";
import {
  TestAllRequiredTypesProto2Codec,
  TestAllTypesProto2Codec,
} from "../conformance/gen/google/protobuf/test_messages_proto2_codec.ts";
import {
  decodeTestAllTypesProto3,
  encodeTestAllTypesProto3,
  TestAllTypesProto3Codec as codec,
} from "../conformance/gen/google/protobuf/test_messages_proto3_codec.ts";
import {
  type TestAllTypesProto3,
  TestAllTypesProto3Schema as schema,
} from "../conformance/gen/google/protobuf/test_messages_proto3_pb.ts";
import { patternBytes } from "../support/random.ts";
import { thrown } from "../support/rejection.ts";
import { decode, encode } from "./support/coding.ts";

const name = "protobuf_test_messages.proto3.TestAllTypesProto3";

/** A message within itself, so many times. */
function nested(depth: number): TestAllTypesProto3 {
  let message = create(schema);
  for (let i = 1; i < depth; i++) message = create(schema, { recursiveMessage: message });
  return message;
}

describe("a codec", () => {
  test("has the message's full name", () => {
    expect(codec.typeName).toBe(name);
  });

  test("makes a message of an init shape, and passes a message through", () => {
    const message = codec.from({ optionalString: "a" });

    expect(isMessage(message, schema)).toBe(true);
    expect(message.optionalString).toBe("a");
    expect(codec.from(message)).toBe(message);
  });

  test("takes null for what is unset, and numbers for bytes, as create does", () => {
    const init = {
      optionalString: null,
      optionalBytes: [1, 2],
      repeatedBytes: [[3]],
      mapStringBytes: { a: [4] },
      repeatedInt32: null,
      optionalForeignMessage: null,
      oneofField: { case: "oneofBytes", value: [5] },
    } as never;

    expect(codec.from(init)).toEqual(create(schema, init));
    expect(codec.from(undefined as never)).toEqual(create(schema));
  });

  test("writes at the offset that it is given, and returns the one behind", () => {
    const message = codec.from({ optionalString: "a", repeatedInt32: [1, 2], optionalDouble: 0.5 });
    const buffer = new Uint8Array(40).fill(0xee);

    const byteCount = codec.size(message);
    const end = codec.write(message, buffer, 5);

    expect(end).toBe(5 + byteCount);
    expect(buffer.subarray(5, end)).toEqual(toBinary(schema, message));
    expect(buffer.subarray(0, 5).every((byte) => byte === 0xee)).toBe(true);
    expect(buffer.subarray(end).every((byte) => byte === 0xee)).toBe(true);
  });

  test("reads the part of a buffer that it is told to, and nothing behind it", () => {
    const bytes = toBinary(schema, create(schema, { optionalString: "key" }));
    const buffer = new Uint8Array(bytes.byteLength + 10).fill(0x08);
    buffer.set(bytes, 3);

    expect(codec.read(buffer, 3, 3 + bytes.byteLength, false).optionalString).toBe("key");
    expect(thrown(() => codec.read(buffer, 3, 2 + bytes.byteLength, false)).code).toBe("data_loss");
  });

  test("refuses a range that is not in the buffer", () => {
    for (const [from, to] of [
      [-1, 2],
      [0, 5],
      [3, 2],
    ] as const) {
      expect(() => codec.read(new Uint8Array(4), from, to, false)).toThrow(RangeError);
    }
  });

  test("writes a message that was not the last one to be sized", () => {
    const [first, second] = [nested(3), codec.from({ packedInt32: [1, 2, 3] })];

    codec.size(first);
    codec.size(second);
    const buffer = new Uint8Array(100);
    const end = codec.write(first, buffer, 0);

    expect(buffer.subarray(0, end)).toEqual(toBinary(schema, first));
  });

  test("sizes without encoding: what is too large costs no memory", () => {
    // Memory that is never touched is never there.
    const message = codec.from({ optionalBytes: new Uint8Array(2 ** 31) });

    expect(codec.size(message)).toBe(2 ** 31 + 6);
  });

  test("sizes a message within itself 5,000 times once for each, not for each pair", () => {
    const message = nested(5_000);

    expect(encode(codec, message).length).toBeGreaterThan(10_000);
  });

  test("lets the functions of codec=only be used without it", () => {
    const message = create(schema, { optionalInt64: 5n });

    expect(encodeTestAllTypesProto3(message)).toEqual(toBinary(schema, message));
    expect(decodeTestAllTypesProto3(toBinary(schema, message))).toEqual(message);
  });
});

describe("bytes that are read", () => {
  function read(byteCount: number, owned: boolean) {
    const bytes = toBinary(schema, create(schema, { optionalBytes: patternBytes(byteCount) }));
    const { optionalBytes } = codec.read(bytes, 0, bytes.length, owned);
    const isView = byteCount > 0 && optionalBytes.buffer === bytes.buffer;
    bytes.fill(0);
    return { isView, isKept: Buffer.compare(optionalBytes, patternBytes(byteCount)) === 0 };
  }

  test.each([0, 1, 16, 17, 1_023, 1_024, 100_000])(
    "are copies of borrowed memory: %d",
    (byteCount) => {
      expect(read(byteCount, false)).toEqual({ isView: false, isKept: true });
    },
  );

  test("are views of owned memory from 1,024 bytes on, and copies below", () => {
    expect(read(1_023, true)).toEqual({ isView: false, isKept: true });
    expect(read(1_024, true).isView).toBe(true);
  });

  test("are Uint8Arrays and no Buffers, and copies of a Buffer, too", () => {
    const buffer = Buffer.from(
      toBinary(schema, create(schema, { optionalBytes: patternBytes(100) })),
    );

    const { optionalBytes } = codec.read(buffer, 0, buffer.length, false);
    buffer.fill(0);

    expect(Object.getPrototypeOf(optionalBytes)).toBe(Uint8Array.prototype);
    expect(optionalBytes).toEqual(patternBytes(100));
  });

  test("of unknown fields are copies too", () => {
    const bytes = Uint8Array.from([0xfa, 0x7f, 3, 1, 2, 3]);

    const message = codec.read(bytes, 0, bytes.length, false);
    bytes.fill(0);

    expect(encode(codec, message)).toEqual(Uint8Array.from([0xfa, 0x7f, 3, 1, 2, 3]));
  });
});

describe("what cannot be encoded", () => {
  test.each([
    ["optionalInt32", { optionalInt32: 1.5 }],
    ["optionalInt32", { optionalInt32: 2 ** 31 }],
    ["optionalUint32", { optionalUint32: -1 }],
    ["optionalSint32", { optionalSint32: 5n as never }],
    ["optionalFixed32", { optionalFixed32: 2 ** 32 }],
    ["optionalInt64", { optionalInt64: 2n ** 63n }],
    ["optionalUint64", { optionalUint64: -1n }],
    ["optionalFixed64", { optionalFixed64: 2n ** 64n }],
    ["optionalFloat", { optionalFloat: 1e39 }],
    ["optionalString", { optionalString: 5 as never }],
    ["optionalNestedEnum", { optionalNestedEnum: 0.5 as never }],
    ["packedInt32", { packedInt32: [1, 2 ** 40] }],
    ["repeatedString", { repeatedString: ["a", null as never] }],
    ["mapStringString", { mapStringString: { a: 5 as never } }],
    ["mapInt32Int32", { mapInt32Int32: { a: 5 } as never }],
    ["optionalInt32Wrapper", { optionalInt32Wrapper: 0.5 }],
    ["repeatedForeignMessage", { repeatedForeignMessage: [{ c: 1 }, null as never] }],
    ["oneofUint32", { oneofField: { case: "oneofUint32" as const, value: -1 } }],
  ])("is invalid_argument, with the message and the field: %s", (field, init) => {
    const message = create(schema, { recursiveMessage: init });

    const error = thrown(() => codec.size(message));

    expect(error.code).toBe("invalid_argument");
    expect(error.rawMessage).toStartWith(`cannot encode ${name}: `);
    expect(error.rawMessage).toContain(`: field ${name}.${field}: `);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test.each([
    ["in a list", { repeatedForeignMessage: [{ c: 1 }, { c: 0.5 }] }],
    ["in a map", { mapStringForeignMessage: { a: { c: 1 }, b: { c: 0.5 } } }],
    ["in a message", { optionalForeignMessage: Object.freeze({ c: 0.5 }) }],
  ])("is said of the message that has the field: %s", (_, init) => {
    const error = thrown(() => codec.size(create(schema, init)));

    expect(error.rawMessage).toBe(
      `cannot encode ${name}: field protobuf_test_messages.proto3.ForeignMessage.c: 0.5 is no whole number from -2147483648 to 2147483647`,
    );
  });

  test("is a proto2 message that lacks a required field", () => {
    const message = TestAllRequiredTypesProto2Codec.from({});

    const error = thrown(() => TestAllRequiredTypesProto2Codec.size(message));

    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain(
      "TestAllRequiredTypesProto2.requiredInt32: required field not set",
    );
  });

  test("is a message that is in itself", () => {
    const message: TestAllTypesProto3 = create(schema);
    message.recursiveMessage = message;

    expect(thrown(() => codec.size(message)).code).toBe("invalid_argument");
    expect(encode(codec, nested(2))).toEqual(toBinary(schema, nested(2)));
  });
});

describe("what is no message", () => {
  function refused(...bytes: number[]): string {
    const error = thrown(() =>
      codec.read(Uint8Array.from([0, 0, ...bytes, 0]), 2, bytes.length + 2, false),
    );
    expect(error.code).toBe("data_loss");
    expect(error.rawMessage).toStartWith(`${bytes.length} bytes are not a ${name}: `);
    return error.rawMessage.slice(error.rawMessage.indexOf(": ") + 2);
  }

  test("is data_loss, with the message's name and the offset", () => {
    expect(refused(0x08)).toBe("ends within a varint, at offset 1");
    expect(refused(0x08, ...Array.from({ length: 11 }, () => 0xff))).toBe(
      "a varint has more than 10 bytes, at offset 1",
    );
    expect(refused(0x08, 1, 0x00, 1)).toBe("there is no field 0, at offset 2");
    expect(refused(0x0f)).toBe("there is no wire type 7, at offset 0");
    expect(refused(0x72, 5, 65, 66)).toBe("5 bytes are announced, and 2 are left, at offset 1");
    expect(refused(0x61, 1, 2)).toBe("8 bytes are needed, and 2 are left, at offset 1");
    expect(refused(0x72, 2, 0xc3, 0x28)).toBe("a string is not UTF-8, at offset 2");
    expect(refused(0xfb, 0x7f, 0x08, 1)).toBe("group 2047 does not end, at offset 4");
    expect(refused(0xfb, 0x7f, 0x0c)).toBe("group 2047 ends as 1, at offset 3");
    expect(refused(0xfc, 0x7f)).toBe("field 2047 ends a group that has not begun, at offset 2");
  });

  test("is refused before memory is taken for what it announces", () => {
    const announced = [0xff, 0xff, 0xff, 0xff, 0x07]; // 2 GiB
    const start = Bun.nanoseconds();
    for (let i = 0; i < 1_000; i++) {
      for (const tag of [[0x72], [0x7a], [0x92, 0x01], [0xda, 0x04], [0xa2, 0x06]]) {
        expect(refused(...tag, ...announced)).toContain("2147483647 bytes are announced");
      }
    }
    expect((Bun.nanoseconds() - start) / 1e6).toBeLessThan(5_000);
  });

  test("are messages over 100 deep, and unknown groups that count with them", () => {
    expect(decode(codec, encode(codec, nested(100)))).toEqual(nested(100));
    const error = thrown(() => decode(codec, encode(codec, nested(101))));
    expect(error.message).toContain("more than 100 messages within one another");

    const groups = (depth: number) =>
      Uint8Array.from([
        ...Array.from({ length: depth }, () => 0x0b),
        ...Array.from({ length: depth }, () => 0x0c),
      ]);
    const unknown = (depth: number) => Uint8Array.from([0xfb, 0x7f, ...groups(depth), 0xfc, 0x7f]);
    expect(decode(codec, unknown(98)).$unknown).toHaveLength(1);
    expect(thrown(() => decode(codec, unknown(99))).code).toBe("data_loss");
  });

  test("leaves nothing behind: the next one is read as ever", () => {
    refused(0xda, 0x04, 2, 0x08);
    expect(decode(codec, Uint8Array.from([0x08, 1])).optionalInt32).toBe(1);
  });
});

test("a string that has U+FFFD itself is read", () => {
  const text = "\ufffd and \ud83d\ude00";
  expect(decode(codec, encode(codec, codec.from({ optionalString: text }))).optionalString).toBe(
    text,
  );
});

test("a surrogate without its partner is written as U+FFFD, as toBinary does it", () => {
  for (const text of ["\ud800", `${"a".repeat(40)}\udc00b`]) {
    const message = codec.from({ optionalString: text });
    expect(encode(codec, message)).toEqual(toBinary(schema, message));
  }
});

test("a key __proto__ is an entry of the map, and no prototype", () => {
  const bytes = toBinary(
    schema,
    create(schema, { mapStringString: JSON.parse('{"__proto__":"x"}') }),
  );

  const { mapStringString } = decode(codec, bytes);

  expect(Object.keys(mapStringString)).toEqual(["__proto__"]);
  expect(Object.getPrototypeOf(mapStringString)).toBe(Object.prototype);
});

test("texts that were read lately are not taken for each other", () => {
  const texts = Array.from({ length: 20_000 }, (_, i) =>
    (i * 7_919).toString(36).slice(-(i % 12) - 1),
  );
  const message = codec.from({ repeatedString: texts });

  expect(decode(codec, encode(codec, message)).repeatedString).toEqual(texts);
  expect(decode(codec, encode(codec, message)).repeatedString).toEqual(texts);
});

test("unset fields of proto2 have their defaults, and are not written", () => {
  const proto2: MessageCodec<TestAllTypesProto2, never> = TestAllTypesProto2Codec;
  const message = decode(proto2, new Uint8Array(0));

  expect(message.defaultInt32).toBe(-123_456_789);
  expect(Object.hasOwn(message, "defaultInt32")).toBe(false);
  expect(encode(proto2, message)).toHaveLength(0);
  const set: Message = create(TestAllTypesProto2Schema, { defaultInt32: -123_456_789 });
  expect(encode(proto2 as MessageCodec<Message, never>, set).length).toBeGreaterThan(0);
});
