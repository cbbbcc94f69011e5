import { describe, expect, test } from "bun:test";

import { create, equals, fromBinary, isMessage, toBinary } from "@bufbuild/protobuf";
import { EmptySchema, StructSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { genericCodec } from "../../src/codec/generic-codec.ts";
import { GetResponseSchema, PutRequestSchema } from "../../example/gen/example_pb.ts";
import { patternBytes } from "../support/random.ts";
import { thrown } from "../support/rejection.ts";

function encode<T>(codec: ReturnType<typeof genericCodec>, message: T): Uint8Array {
  const buffer = new Uint8Array(codec.size(message as never));
  expect(codec.write(message as never, buffer, 0)).toBe(buffer.byteLength);
  return buffer;
}

describe("genericCodec", () => {
  const codec = genericCodec(PutRequestSchema);

  test("has the message's full name", () => {
    expect(codec.typeName).toBe("example.PutRequest");
  });

  test("makes a message of an init shape, and passes a message through", () => {
    const message = codec.from({ key: "k" });

    expect(isMessage(message, PutRequestSchema)).toBe(true);
    expect([message.key, message.value.byteLength]).toEqual(["k", 0]);
    expect(codec.from(message)).toBe(message);
  });

  test("writes what toBinary writes, and reads what fromBinary reads", () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array(), (key, value) => {
        const message = create(PutRequestSchema, { key, value });

        const bytes = encode(codec as never, message);

        expect(bytes).toEqual(toBinary(PutRequestSchema, message));
        const read = codec.read(bytes, 0, bytes.byteLength, false);
        expect(equals(PutRequestSchema, read, fromBinary(PutRequestSchema, bytes))).toBe(true);
      }),
      { numRuns: 500, seed: 60 },
    );
  });

  test("writes at the offset that it is given, and returns the one behind", () => {
    const message = codec.from({ key: "k", value: Uint8Array.of(1, 2) });
    const buffer = new Uint8Array(20).fill(0xee);

    const byteCount = codec.size(message);
    const end = codec.write(message, buffer, 5);

    expect(end).toBe(5 + byteCount);
    expect(buffer.subarray(5, end)).toEqual(toBinary(PutRequestSchema, message));
    expect([...buffer.subarray(0, 5), ...buffer.subarray(end)]).toEqual(
      Array.from({ length: 20 - byteCount }, () => 0xee),
    );
  });

  test("reads the part of a buffer that it is told to", () => {
    const bytes = toBinary(PutRequestSchema, create(PutRequestSchema, { key: "key" }));
    const buffer = new Uint8Array(bytes.byteLength + 10).fill(0xff);
    buffer.set(bytes, 3);

    expect(codec.read(buffer, 3, 3 + bytes.byteLength, false).key).toBe("key");
  });

  test("keeps several codecs of one message apart", () => {
    const [first, second] = [genericCodec(PutRequestSchema), genericCodec(PutRequestSchema)];
    const [a, b] = [first.from({ key: "aa" }), second.from({ key: "b" })];

    first.size(a);
    second.size(b);
    const buffer = new Uint8Array(10);
    const end = first.write(a, buffer, 0);

    expect(buffer.subarray(0, end)).toEqual(toBinary(PutRequestSchema, a));
  });

  test("reads a message of no bytes, and an empty message has the size 0", () => {
    expect(codec.read(new Uint8Array(5), 2, 2, false).key).toBe("");
    expect(codec.size(codec.from({}))).toBe(0);
  });
});

describe("bytes fields that genericCodec reads", () => {
  const codec = genericCodec(GetResponseSchema);
  const encoded = toBinary(
    GetResponseSchema,
    create(GetResponseSchema, { value: patternBytes(100) }),
  );

  test("are unchanged when borrowed memory is used again", () => {
    const buffer = encoded.slice();

    const { value } = codec.read(buffer, 0, buffer.byteLength, false);
    buffer.fill(0);

    expect(value).toEqual(patternBytes(100));
  });

  test("are views of memory that is theirs to keep: no copy", () => {
    const buffer = encoded.slice();

    const { value } = codec.read(buffer, 0, buffer.byteLength, true);

    expect(value.buffer).toBe(buffer.buffer);
    expect(value).toEqual(patternBytes(100));
  });

  test("of unknown fields are unchanged too", () => {
    const buffer = encoded.slice();
    const other = genericCodec(EmptySchema);

    const message = other.read(buffer, 0, buffer.byteLength, false);
    buffer.fill(0);

    expect(toBinary(EmptySchema, message)).toEqual(encoded);
  });
});

describe("what genericCodec refuses", () => {
  test("is invalid_argument, with the message's name, for what cannot be encoded", () => {
    const codec = genericCodec(TimestampSchema);
    const message = codec.from({ nanos: 1.5 });

    const error = thrown(() => codec.size(message));

    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain("cannot encode google.protobuf.Timestamp: ");
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("is data_loss, with the message's name and the byte count, for what is no message", () => {
    const codec = genericCodec(PutRequestSchema);

    const error = thrown(() => codec.read(Uint8Array.of(0x0a, 0x7f, 1), 0, 3, false));

    expect(error.code).toBe("data_loss");
    expect(error.message).toContain("3 bytes are not a example.PutRequest: ");
  });

  test("is data_loss and nothing else, whatever the bytes", () => {
    const codec = genericCodec(StructSchema);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        let result: unknown;
        try {
          result = codec.read(bytes, 0, bytes.byteLength, false).$typeName;
        } catch (error) {
          result = (error as { readonly code?: unknown }).code;
        }
        expect(["google.protobuf.Struct", "data_loss"]).toContain(result as string);
      }),
      { numRuns: 3_000, seed: 61 },
    );
  });

  test("is a write without a size before it", () => {
    const codec = genericCodec(PutRequestSchema);
    const message = codec.from({ key: "k" });
    codec.size(message);
    codec.write(message, new Uint8Array(10), 0);

    expect(() => codec.write(message, new Uint8Array(10), 0)).toThrow("write without size");
  });
});
