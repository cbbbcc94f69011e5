import { describe, expect, test } from "bun:test";

import {
  FrameFlag,
  FrameKind,
  headerBytes,
  headerFault,
  isKnownKind,
  kindName,
  writeHeader,
} from "../../src/frame/frame-header.ts";

describe("FrameKind", () => {
  // On the wire: a change here is a change of the protocol.
  test("has the numbers 1 to 14, which never change", () => {
    expect(Object.entries(FrameKind).slice(0, 14)).toEqual([
      ["Request", 1],
      ["Response", 2],
      ["Error", 3],
      ["Continue", 4],
      ["Cancel", 5],
      ["Message", 6],
      ["End", 7],
      ["Credit", 8],
      ["Headers", 9],
      ["Ping", 10],
      ["Pong", 11],
      ["GoAway", 12],
      ["Service", 13],
      ["Release", 14],
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
  test("has these bits, which never change", () => {
    expect(Object.values(FrameFlag)).toEqual([0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80]);
  });

  test("has one bit each", () => {
    const bits = Object.values(FrameFlag);

    expect(bits.map((bit) => bit & (bit - 1))).toEqual(bits.map(() => 0));
    expect(new Set(bits).size).toBe(bits.length);
  });

  test.each(Object.values(FrameKind))("of kind %i: what may be there, and what must", (kind) => {
    const { FromCallee, Ignorable } = FrameFlag;
    const fault = (flags: number): string | undefined => headerFault(kind, flags, 0, 0, 0);
    const must = fault(0) === undefined ? 0 : FromCallee;
    const bits = Object.values(FrameFlag);
    const allowed = bits.filter((bit) => fault(must | bit) === undefined);

    expect(fault(must)).toBeUndefined();
    expect(allowed).toContain(Ignorable);
    expect(fault(allowed.reduce((flags, bit) => flags | bit, must))).toBeUndefined();
    for (const bit of bits.filter((one) => !allowed.includes(one))) {
      expect(fault(must | bit)).toBe(`has flags 0x${bit.toString(16)}, which it may not have`);
    }
  });

  test("say whose request id it is where a callee alone can speak", () => {
    const mustSay = Object.entries(FrameKind)
      .filter(([, kind]) => headerFault(kind, 0, 0, 0, 0) === "lacks flags 0x2")
      .map(([name]) => name);

    expect(mustSay).toEqual(["Response", "Error", "Headers"]);
  });
});

describe("headerFault", () => {
  test("finds a method id on whatever is no request", () => {
    const faults = Object.values(FrameKind).map((kind) => {
      const flags = headerFault(kind, 0, 0, 0, 0) === undefined ? 0 : FrameFlag.FromCallee;
      return headerFault(kind, flags, 7, 0, 0);
    });

    expect(faults).toEqual(faults.map((_, i) => (i === 0 ? undefined : "has method id 7")));
  });

  test("finds a payload where there is none, and a request id on what has none", () => {
    const { Cancel, End, Ping, Pong, GoAway, Service, Release } = FrameKind;

    for (const kind of [Cancel, End, Ping, Pong]) {
      expect(headerFault(kind, 0, 0, 1, 3)).toBe("has a payload of 3 bytes");
      expect(headerFault(kind, 0, 0, 1, 0)).toBeUndefined();
    }
    for (const kind of [GoAway, Service, Release]) {
      expect(headerFault(kind, 0, 0, 5, 4)).toBe("has request id 5");
      expect(headerFault(kind, 0, 0, 0, 4)).toBeUndefined();
    }
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
