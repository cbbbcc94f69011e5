import { describe, expect, test } from "bun:test";

import { encodePreface } from "../../src/frame/preface.ts";

const metadata = Uint8Array.of(0x0a, 6, 0x0a, 1, 0x61, 0x12, 1, 0x62);

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString("hex");
}

describe("encodePreface", () => {
  test("is nothing where there is nothing to say", () => {
    expect(encodePreface(0, undefined)).toBeUndefined();
    expect(encodePreface(0, new Uint8Array(0))).toBeUndefined();
  });

  test("is the object's id, little-endian", () => {
    expect(hex(encodePreface(7, undefined))).toBe("07000000");
    expect(hex(encodePreface(0x0102_0304, new Uint8Array(0)))).toBe("04030201");
    expect(hex(encodePreface(2 ** 32 - 1, undefined))).toBe("ffffffff");
  });

  test("is metadata behind its length", () => {
    expect(hex(encodePreface(0, metadata))).toBe("080000000a060a0161120162");
  });

  test("is the object's id before metadata", () => {
    expect(hex(encodePreface(7, metadata))).toBe("07000000080000000a060a0161120162");
  });

  test("keeps nothing of the metadata: it is a copy", () => {
    const own = metadata.slice();
    const preface = encodePreface(0, own);

    own.fill(0xdd);

    expect(hex(preface)).toBe("080000000a060a0161120162");
  });
});
