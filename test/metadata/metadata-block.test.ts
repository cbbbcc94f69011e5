import { describe, expect, test } from "bun:test";

import { isPlugError, Metadata } from "bun-plug";
import fc from "fast-check";
import { decodeMetadata, encodeMetadata } from "../../src/metadata/metadata-block.ts";
import { joined } from "../support/cuts.ts";
import { protobuf } from "../support/handshake.ts";
import { thrown } from "../support/rejection.ts";

function decoded(bytes: Uint8Array): Metadata {
  return decodeMetadata(bytes, 0, bytes.byteLength);
}

const names = fc.stringMatching(/^[0-9a-z_.-]{1,20}$/).filter((name) => !name.endsWith("-bin"));
// Half of a surrogate pair is no text that UTF-8 has.
const texts = fc
  .string({ unit: "binary" })
  .filter((text) => !/[\0\r\n]/.test(text) && text.isWellFormed());
const pairs = fc.array(
  fc.oneof(
    fc.tuple(names, texts),
    fc.tuple(
      names.map((name) => `${name}-bin`),
      fc.uint8Array({ maxLength: 300 }),
    ),
  ),
  { maxLength: 20 },
);

describe("decodeMetadata(encodeMetadata())", () => {
  test("gives back every name and value, in order", () => {
    fc.assert(
      fc.property(pairs, fc.nat(20), fc.nat(20), (list, before, behind) => {
        const metadata = new Metadata(list);
        const bytes = encodeMetadata(metadata, 2 ** 20, "headers");
        const buffer = joined(new Uint8Array(before), bytes, new Uint8Array(behind));

        const back = decodeMetadata(buffer, before, before + bytes.byteLength);

        expect([...back]).toEqual([...metadata]);
      }),
      { numRuns: 1_000, seed: 4 },
    );
  });

  test("keeps a byte order mark that leads a value", () => {
    const encoded = encodeMetadata(new Metadata({ a: "\ufeffx" }), 100, "headers");

    expect(decodeMetadata(encoded, 0, encoded.byteLength).get("a")).toBe("\ufeffx");
  });

  test("keeps nothing of the buffer: it may be used again", () => {
    const bytes = encodeMetadata(new Metadata({ "a-bin": Uint8Array.of(1, 2) }), 100, "headers");
    const back = decoded(bytes);

    bytes.fill(0xdd);

    expect(back.getBytes("a-bin")).toEqual(Uint8Array.of(1, 2));
  });
});

describe("encodeMetadata", () => {
  test("writes what PROTOCOL.md says", () => {
    const bytes = encodeMetadata(new Metadata({ a: "b" }), 100, "headers");

    expect([...bytes]).toEqual([0x0a, 6, 0x0a, 1, 0x61, 0x12, 1, 0x62]);
  });

  test("writes nothing where there is nothing, which 0 bytes are enough for", () => {
    expect(encodeMetadata(new Metadata(), 0, "headers").byteLength).toBe(0);
  });

  test("takes as many bytes as there may be, and one more is resource_exhausted with both", () => {
    const metadata = new Metadata({ a: "b" });

    expect(encodeMetadata(metadata, 8, "headers").byteLength).toBe(8);
    expect(thrown(() => encodeMetadata(metadata, 7, "headers of example.KV.Get")).message).toBe(
      "[resource_exhausted] headers of example.KV.Get have 8 bytes, more than maxMetadataBytes 7",
    );
  });
});

describe("decodeMetadata", () => {
  test("skips fields that it does not know, in an entry and beside it", () => {
    const bytes = protobuf([
      [7, "later"],
      [8, 5],
      [
        1,
        [
          [1, "a"],
          [9, 1],
          [10, "later"],
          [2, "b"],
        ],
      ],
    ]);

    expect(decoded(bytes).toJSON()).toEqual({ a: "b" });
  });

  test("takes an entry without a value for one of an empty value", () => {
    const bytes = protobuf([
      [1, [[1, "a"]]],
      [1, [[1, "b-bin"]]],
    ]);

    expect(decoded(bytes).toJSON()).toEqual({ a: "", "b-bin": new Uint8Array(0) });
  });

  const malformed: readonly (readonly [string, Uint8Array, string])[] = [
    ["what ends too early", Uint8Array.of(0x0a, 9, 1), "3 bytes of metadata cannot be read"],
    ["a wire type that there is not", Uint8Array.of(0x0f), "cannot be read"],
    ["an entry without a name", protobuf([[1, [[2, "b"]]]]), "header's name"],
    ["a name that is none", protobuf([[1, [[1, "a b"]]]]), "header's name"],
    [
      "a value of two lines",
      protobuf([
        [
          1,
          [
            [1, "a"],
            [2, "b\nc"],
          ],
        ],
      ]),
      "text of one line",
    ],
    ["a value that is not UTF-8", Uint8Array.of(0x0a, 6, 0x0a, 1, 0x61, 0x12, 1, 0xff), "read"],
  ];
  test.each(malformed)("throws protocol_error for %s", (_, bytes, says) => {
    const error = thrown(() => decoded(bytes));

    expect(error.code).toBe("protocol_error");
    expect(error.message).toContain(says);
  });

  test("gives metadata or a protocol_error for any bytes", () => {
    const almost = fc.tuple(pairs, fc.nat(), fc.nat(255)).map(([list, at, byte]) => {
      const bytes = encodeMetadata(new Metadata([...list, ["a", "b"]]), 2 ** 20, "headers");
      bytes[at % bytes.byteLength] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), almost), (bytes) => {
        try {
          expect(decoded(bytes)).toBeInstanceOf(Metadata);
        } catch (error) {
          expect(isPlugError(error) && error.code).toBe("protocol_error");
        }
      }),
      { numRuns: 3_000, seed: 5 },
    );
  });
});
