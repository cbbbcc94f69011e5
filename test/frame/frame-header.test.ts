import { describe, expect, test } from "bun:test";

import {
  FrameFlag,
  FrameKind,
  headerBytes,
  isKnownKind,
  kindName,
  unknownFlags,
  writeHeader,
} from "../../src/frame/frame-header.ts";

describe("FrameKind", () => {
  // On the wire: a change here is a change of the protocol.
  test("has the numbers 1 to 5, which never change", () => {
    expect(Object.entries(FrameKind).slice(0, 5)).toEqual([
      ["Request", 1],
      ["Response", 2],
      ["Error", 3],
      ["Continue", 4],
      ["Cancel", 5],
    ]);
  });

  test("is known for each kind of the table, and for no other number", () => {
    const known = Array.from({ length: 256 }, (_, kind) => kind).filter(isKnownKind);

    expect(known).toEqual(Object.values(FrameKind));
  });

  test("has a name of its own for each kind", () => {
    const names = Object.values(FrameKind).map(kindName);

    expect(new Set(names).size).toBe(names.length);
    expect(names.slice(0, 5)).toEqual(["request", "response", "error", "continue", "cancel"]);
    expect(kindName(200)).toBe("kind 200");
  });
});

describe("FrameFlag", () => {
  test("has one bit each", () => {
    const bits = Object.values(FrameFlag);

    expect(bits.map((bit) => bit & (bit - 1))).toEqual(bits.map(() => 0));
    expect(new Set(bits).size).toBe(bits.length);
  });

  test("unknownFlags leaves what has no name", () => {
    const all = Object.values(FrameFlag).reduce((flags, bit) => flags | bit, 0);

    expect(unknownFlags(0xff)).toBe(0xff & ~all);
    expect(unknownFlags(all)).toBe(0);
  });
});

test("a header is 12 bytes: length, kind, flags, method id, request id, little-endian", () => {
  const buffer = new Uint8Array(headerBytes + 2);

  writeHeader(
    new DataView(buffer.buffer),
    1,
    0x01020304,
    FrameKind.Response,
    FrameFlag.FromCallee,
    0x0506,
    0xf708090a,
  );

  expect(Buffer.from(buffer).toString("hex")).toBe(
    "00" + "04030201" + "02" + "02" + "0605" + "0a0908f7" + "00",
  );
});
