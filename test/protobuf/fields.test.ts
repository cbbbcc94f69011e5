import { describe, expect, test } from "bun:test";

import { BinaryReader, BinaryWriter, WireType as PbWireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { eachField, FieldWriter, WireType } from "../../src/protobuf/fields.ts";

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const field = fc.integer({ min: 1, max: 2 ** 29 - 1 });

const value = fc.oneof(
  fc.record({ kind: fc.constant("uint32" as const), value: u32 }),
  fc.record({ kind: fc.constant("fixed32" as const), value: u32 }),
  fc.record({ kind: fc.constant("string" as const), value: fc.string({ unit: "grapheme" }) }),
  fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 400 }) }),
);
type Value = typeof value extends fc.Arbitrary<infer T> ? T : never;

const wireTypes = {
  uint32: WireType.Varint,
  fixed32: WireType.Bit32,
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
} as const;

function written(fields: readonly (readonly [number, Value])[]): Uint8Array {
  const writer = new FieldWriter();
  for (const [number, { kind, value }] of fields) writer[kind](number, value as never);
  return writer.finish();
}

describe("FieldWriter", () => {
  test("writes the bytes that protobuf-es writes", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(field, value), { maxLength: 20 }), (fields) => {
        const expected = new BinaryWriter();
        for (const [number, { kind, value }] of fields) {
          expected.tag(number, wireTypes[kind] as PbWireType)[kind](value as never);
        }

        expect(written(fields)).toEqual(expected.finish());
      }),
      { numRuns: 500, seed: 4 },
    );
  });

  test("refuses a number that does not fit 32 bits", () => {
    for (const number of [-1, 1.5, NaN, 2 ** 32]) {
      expect(() => new FieldWriter().uint32(1, number)).toThrow(RangeError);
    }
  });
});

describe("eachField", () => {
  test("gives back what was written", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(field, value), { maxLength: 20 }), (fields) => {
        const read: unknown[] = [];

        eachField(written(fields), (field, wireType, value, bytes) => {
          read.push([field, wireType, value, bytes]);
        });

        const nothing = new Uint8Array(0);
        expect(read).toEqual(
          fields.map(([number, { kind, value }]) => {
            const bytes = kind === "string" ? new TextEncoder().encode(value) : value;
            return typeof bytes === "number"
              ? [number, wireTypes[kind], bytes, nothing]
              : [number, wireTypes[kind], 0, bytes];
          }),
        );
      }),
      { numRuns: 500, seed: 5 },
    );
  });

  // Skips 64 bits and groups as that does.
  test("takes and refuses what protobuf-es takes and refuses, whatever the bytes", () => {
    const likely = fc.constantFrom(0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x13, 0x14, 0, 1, 2, 0xff);
    const noise = fc.array(fc.oneof(likely, fc.integer({ min: 0, max: 255 })), { maxLength: 16 });
    fc.assert(
      fc.property(noise, (numbers) => {
        const bytes = Uint8Array.from(numbers);

        expect(tagsOf(bytes, ownTags)).toEqual(tagsOf(bytes, tagsOfProtobufEs));
      }),
      { numRuns: 20_000, seed: 6 },
    );
  });

  test("reads the lower 32 bits of a varint, which has at most 10 bytes", () => {
    const read = (...bytes: number[]): number => {
      let result = -1;
      eachField(Uint8Array.of(0x08, ...bytes), (_field, _wireType, value) => {
        result = value;
      });
      return result;
    };
    const long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

    expect(read(...long, 0x01)).toBe(2 ** 32 - 1);
    expect(() => read(...long, 0xff, 0x01)).toThrow("more than 10 bytes");
  });

  test("refuses groups of more than 100 levels", () => {
    const nested = (depth: number): Uint8Array =>
      Uint8Array.from([...Array(depth).fill(0x0b), ...Array(depth).fill(0x0c)]);
    const skip = (depth: number): void => eachField(nested(depth), () => {});

    skip(100);
    expect(() => skip(101)).toThrow("too deep");
  });

  test("refuses a length that goes beyond the message, before memory is taken for it", () => {
    const bytes = Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1);

    expect(() => eachField(bytes, () => {})).toThrow(RangeError);
  });
});

type Tag = readonly [field: number, wireType: number];

function tagsOf(bytes: Uint8Array, walk: (bytes: Uint8Array, tags: Tag[]) => void): unknown {
  const tags: Tag[] = [];
  try {
    walk(bytes, tags);
    return tags;
  } catch {
    return "refused";
  }
}

function ownTags(bytes: Uint8Array, tags: Tag[]): void {
  eachField(bytes, (field, wireType) => {
    tags.push([field, wireType]);
  });
}

function tagsOfProtobufEs(bytes: Uint8Array, tags: Tag[]): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (isTaken(wireType)) tags.push([field, wireType]);
    // It takes varints of any length where it skips them.
    if (wireType === PbWireType.Varint) reader.uint32();
    else reader.skip(wireType, field);
  }
}

function isTaken(wireType: PbWireType): boolean {
  return ([WireType.Varint, WireType.LengthDelimited, WireType.Bit32] as number[]).includes(
    wireType,
  );
}
