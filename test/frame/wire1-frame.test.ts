import { describe, expect, test } from "bun:test";

import { isPlugError } from "bun-plug";
import fc from "fast-check";
import {
  maxWire1FrameBytes,
  wire1Frame,
  wire1HeaderBytes,
  Wire1Reader,
  writeWire1Header,
} from "../../src/frame/wire1-frame.ts";
import { byteByByte, cutsInTwo, joined, randomCuts } from "../support/cuts.ts";
import { patternBytes, seeded } from "../support/random.ts";
import { thrown } from "../support/rejection.ts";

const limitBytes = 20_000;

interface Seen {
  readonly id: number;
  readonly payload: Uint8Array;
}

function newReader(maxPayloadBytes = limitBytes) {
  const seen: (Seen & { readonly buffer: Uint8Array })[] = [];
  const reader = new Wire1Reader(maxPayloadBytes, {
    frame(id, buffer, from, to) {
      seen.push({ id, payload: buffer.slice(from, to), buffer });
    },
  });
  return { reader, seen };
}

function read(chunks: readonly Uint8Array[]): Seen[] {
  const { reader, seen } = newReader();
  for (const chunk of chunks) reader.push(chunk, 0, chunk.byteLength);
  return seen.map(({ id, payload }) => ({ id, payload }));
}

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

// The Go original's own words: a handshake, Put("k", 01 02 03 04), its answer, Get("k"), its
// answer, and an error.
const goStream = hex(
  "00FF 09 08 01 12 05 6D 61 67 69 63" +
    "0001 09 0A 01 6B 12 04 01 02 03 04" +
    "0001 00" +
    "0000 03 0A 01 6B" +
    "0000 06 0A 04 01 02 03 04" +
    "FF00 05 6F 6F 70 73 21",
);
const goFrames: readonly Seen[] = [
  { id: 0x00ff, payload: hex("08 01 12 05 6D 61 67 69 63") },
  { id: 0x0001, payload: hex("0A 01 6B 12 04 01 02 03 04") },
  { id: 0x0001, payload: hex("") },
  { id: 0x0000, payload: hex("0A 01 6B") },
  { id: 0x0000, payload: hex("0A 04 01 02 03 04") },
  { id: 0xff00, payload: hex("6F 6F 70 73 21") },
];
// And lengths of one byte, two and three.
const frames: readonly Seen[] = [
  ...goFrames,
  { id: 0x0102, payload: patternBytes(127) },
  { id: 0x0103, payload: patternBytes(128) },
  { id: 0xfe7f, payload: patternBytes(300) },
];
const stream = joined(
  goStream,
  ...frames.slice(6).map(({ id, payload }) => wire1Frame(id, payload)),
);

describe("Wire1Reader.push", () => {
  test("finds the frames of the Go original", () => {
    expect(read([goStream])).toEqual([...goFrames]);
  });

  test("finds the same frames at every way of cutting the stream in two", () => {
    for (const [left, right] of cutsInTwo(stream)) {
      expect(read([left, right])).toEqual([...frames]);
    }
  });

  test("finds the same frames byte by byte", () => {
    expect(read(byteByByte(stream))).toEqual([...frames]);
  });

  test("finds the same frames at 2,000 random ways of cutting the stream", () => {
    const random = seeded(1);
    const long = joined(stream, wire1Frame(7, patternBytes(limitBytes)), stream);
    const expected = [...frames, { id: 7, payload: patternBytes(limitBytes) }, ...frames];
    for (let i = 0; i < 2_000; i++) {
      const chunks = randomCuts(long, random, 1 + random(5_000));
      const seen = read(chunks);
      expect(seen.length).toBe(expected.length);
      expect(seen[9]?.payload).toEqual(expected[9]?.payload as Uint8Array);
    }
  });

  test("hands on views, not copies, of frames that lie in one chunk", () => {
    const { reader, seen } = newReader();

    reader.push(stream, 0, stream.byteLength);

    expect(seen.map(({ buffer }) => buffer === stream)).toEqual(frames.map(() => true));
  });

  test("returns where it stopped if the sink says that it shall", () => {
    const first = wire1Frame(1, patternBytes(10));
    const both = joined(first, wire1Frame(2, patternBytes(10)));
    for (const [left, right] of cutsInTwo(both)) {
      const ids: number[] = [];
      const reader = new Wire1Reader(limitBytes, { frame: (id) => ids.push(id) > 0 });

      const leftEnd = reader.push(left, 0, left.byteLength);
      const isFound = ids.length > 0;
      const rightEnd = isFound ? 0 : reader.push(right, 0, right.byteLength);

      expect(leftEnd + rightEnd).toBe(first.byteLength);
      expect(ids).toEqual([1]);
    }
  });

  test("takes a length with more bytes than it needs, as Go's decoder does", () => {
    const padded = hex("0005 83 80 00 AA BB CC");
    for (const [left, right] of cutsInTwo(padded)) {
      expect(read([left, right])).toEqual([{ id: 5, payload: hex("AA BB CC") }]);
    }
  });

  test("takes a payload of exactly maxMessageBytes", () => {
    const payload = patternBytes(limitBytes);

    expect(read([wire1Frame(3, payload)])).toEqual([{ id: 3, payload }]);
  });

  test("throws resource_exhausted for one byte more, as soon as the length is there", () => {
    const { reader } = newReader();
    const header = wire1Frame(3, patternBytes(limitBytes + 1)).subarray(0, 5);

    const error = thrown(() => reader.push(header, 0, header.byteLength));

    expect(error.code).toBe("resource_exhausted");
    expect(error.message).toContain(
      "0x0003 announces 20001 bytes, more than maxMessageBytes 20000",
    );
  });

  test("throws protocol_error for a length of more than 5 bytes", () => {
    for (const chunks of [[hex("0003 80 80 80 80 80")], byteByByte(hex("0003 80 80 80 80 80"))]) {
      const { reader } = newReader();
      const error = thrown(() => {
        for (const chunk of chunks) reader.push(chunk, 0, chunk.byteLength);
      });

      expect(error.code).toBe("protocol_error");
      expect(error.message).toContain("0x0003");
    }
  });

  test("is dead after a fault: each further push throws protocol_error", () => {
    const { reader, seen } = newReader();
    const bad = hex("0003 FF FF FF FF 01");
    thrown(() => reader.push(bad, 0, bad.byteLength));

    const error = thrown(() => reader.push(goStream, 0, goStream.byteLength));

    expect(error.code).toBe("protocol_error");
    expect(seen).toEqual([]);
  });

  test("holds what has come, and not what a header announces", () => {
    const { reader } = newReader(1024 ** 3);
    const header = hex("0003 80 80 80 80 04"); // 1 GiB

    reader.push(header, 0, header.byteLength);

    expect(reader.heldBytes).toBe(header.byteLength);
  });
});

const almostFrames = fc
  .array(
    fc.oneof(
      fc
        .tuple(fc.integer({ min: 0, max: 0xffff }), fc.uint8Array({ maxLength: 200 }))
        .map(([id, payload]) => wire1Frame(id, payload)),
      fc.uint8Array({ maxLength: 9 }),
      fc.constant(hex("0001 FF FF FF FF 0F")),
      fc.constant(hex("0001 FF 80 80 00")),
    ),
    { maxLength: 8 },
  )
  .map((parts) => joined(...parts));

describe("Wire1Reader, fed any bytes in any pieces,", () => {
  const smallLimitBytes = 500;

  test("throws nothing but protocol_error and resource_exhausted, and holds no more than a frame", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 1_500 }), almostFrames),
        fc.integer({ min: 1, max: 200 }),
        fc.integer(),
        (bytes, max, seed) => {
          const { reader } = newReader(smallLimitBytes);
          const errors: unknown[] = [];
          let mostHeldBytes = 0;
          for (const chunk of randomCuts(bytes, seeded(seed), max)) {
            try {
              reader.push(chunk, 0, chunk.byteLength);
            } catch (error) {
              errors.push(error);
            }
            mostHeldBytes = Math.max(mostHeldBytes, reader.heldBytes);
          }
          const codes = errors.map((error) => (isPlugError(error) ? error.code : error));
          expect(
            codes.filter((code) => code !== "protocol_error" && code !== "resource_exhausted"),
          ).toEqual([]);
          expect(mostHeldBytes).toBeLessThanOrEqual(smallLimitBytes + 7);
        },
      ),
      { numRuns: 5_000, seed: 4 },
    );
  });

  test("finds the same frames, and the same fault, however the stream is cut", () => {
    function outcome(chunks: readonly Uint8Array[]): unknown {
      const { reader, seen } = newReader(smallLimitBytes);
      let fault: unknown;
      try {
        for (const chunk of chunks) reader.push(chunk, 0, chunk.byteLength);
      } catch (error) {
        fault = (error as Error).message;
      }
      return { fault, seen: seen.map(({ id, payload }) => ({ id, payload })) };
    }
    fc.assert(
      fc.property(almostFrames, fc.integer({ min: 1, max: 50 }), fc.integer(), (bytes, max, s) => {
        expect(outcome(randomCuts(bytes, seeded(s), max))).toEqual(outcome([bytes]));
      }),
      { numRuns: 3_000, seed: 5 },
    );
  });
});

describe("wire1HeaderBytes", () => {
  test("is what writeWire1Header writes, at every length of the length", () => {
    const sizes = [0, 1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21, 2 ** 28, 2 ** 30];
    const buffer = new Uint8Array(16);

    const written = sizes.map((size) => writeWire1Header(buffer, 2, 0x0102, size) - 2);

    expect(written).toEqual(sizes.map(wire1HeaderBytes));
  });
});

test("maxWire1FrameBytes is 65,536: what a pipe holds", () => {
  expect(maxWire1FrameBytes).toBe(65_536);
});
