import { describe, expect, test } from "bun:test";

import fc from "fast-check";
import { decodeService, encodeService } from "../../src/frame/service-payload.ts";
import { joined } from "../support/cuts.ts";
import { protobuf } from "../support/handshake.ts";

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe("decodeService(encodeService())", () => {
  test("gives back name, versions and methods in order, and the first id", () => {
    fc.assert(
      fc.property(
        fc.record({
          name: fc.string(),
          versions: fc.array(u32, { maxLength: 5 }),
          methods: fc.array(fc.string(), { maxLength: 50 }),
          firstMethodId: u32,
        }),
        (service) => {
          expect(decodeService(encodeService(service))).toEqual(service);
        },
      ),
      { numRuns: 500, seed: 2 },
    );
  });
});

describe("encodeService", () => {
  test("writes what PROTOCOL.md says", () => {
    const service = { name: "peer.Bell", versions: [1], methods: ["Ring"], firstMethodId: 0 };

    expect(Buffer.from(encodeService(service)).toString("hex")).toBe(
      "0a09706565722e42656c6c10011a0452696e67",
    );
  });
});

describe("decodeService", () => {
  const nothing = { name: "", versions: [], methods: [], firstMethodId: 0 };

  test("takes no bytes for a service of no name and no methods", () => {
    expect(decodeService(new Uint8Array(0))).toEqual(nothing);
  });

  test("skips fields that it does not know, and known ones of another wire type", () => {
    const bytes = protobuf([
      [9, "later"],
      [10, 5],
      [1, 5],
      [2, "1"],
      [3, 5],
      [4, "x"],
      [1, "a.B"],
    ]);

    expect(decodeService(bytes)).toEqual({ ...nothing, name: "a.B" });
  });

  test("throws for what is no protobuf", () => {
    for (const bytes of [[0x0a], [0x0a, 9, 1], [0x10], [0x0f], [0x00]]) {
      expect(() => decodeService(Uint8Array.from(bytes))).toThrow();
    }
  });

  // Two bytes each, and an entry in memory for each of them.
  test("throws for more fields than there are method ids", () => {
    const empty = (count: number): Uint8Array =>
      new Uint8Array(count * 2).map((_, i) => (i % 2 === 0 ? 0x1a : 0));

    expect(decodeService(empty(70_000)).methods).toHaveLength(70_000);
    expect(() => decodeService(empty(70_001))).toThrow("more than 70000 fields");
  });

  test("gives a service or throws an Error for any bytes", () => {
    const good = encodeService({ name: "a.B", versions: [1, 2], methods: ["C"], firstMethodId: 3 });
    fc.assert(
      fc.property(fc.nat(), fc.uint8Array({ maxLength: 20 }), (at, noise) => {
        const cut = at % good.byteLength;
        const bytes = joined(good.subarray(0, cut), noise, good.subarray(cut));
        try {
          expect(Object.keys(decodeService(bytes))).toEqual(Object.keys(nothing));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 1_000, seed: 3 },
    );
  });
});
