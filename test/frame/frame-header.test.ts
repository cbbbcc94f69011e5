import { describe, expect, test } from "bun:test";

import {
  FrameFlag,
  FrameKind,
  headerBytes,
  isKnownKind,
  kindName,
  writeHeader,
  wrongFlags,
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

  const all = Object.values(FrameFlag).reduce((flags, bit) => flags | bit, 0);

  test.each(Object.values(FrameKind))("of kind %i: what may be there, and what must", (kind) => {
    const { FromCallee, Ignorable } = FrameFlag;
    const allowed = all & ~(wrongFlags(kind, all)?.extra ?? 0);
    const required = wrongFlags(kind, 0)?.missing ?? 0;

    expect(wrongFlags(kind, allowed)).toBeUndefined();
    expect(allowed & Ignorable).toBe(Ignorable);
    expect(required & ~FromCallee).toBe(0);
    expect(wrongFlags(kind, allowed & ~required)).toEqual(
      required === 0 ? undefined : { extra: 0, missing: required },
    );
  });

  test("say whose request id it is where a callee alone can speak", () => {
    const mustSay = Object.entries(FrameKind)
      .filter(([, kind]) => wrongFlags(kind, 0) !== undefined)
      .map(([name]) => name);

    expect(mustSay).toEqual(["Response", "Error", "Headers"]);
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
