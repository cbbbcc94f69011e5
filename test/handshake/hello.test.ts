import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import fc from "fast-check";
import { checkedLimits, defaultLimits, type Limits } from "../../src/call/limits.ts";
import {
  decodeHandshake,
  encodeHandshake,
  type Handshake,
  type Hello,
  peerLimits,
} from "../../src/handshake/hello.ts";
import { packageVersion, runtimeName } from "../../src/handshake/runtime-name.ts";
import { joined } from "../support/cuts.ts";
import { pluginHello } from "../support/hellos.ts";
import { thrown } from "../support/rejection.ts";

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

// Fields that later versions may add, of each wire type.
const unknownFields = hex(
  "A0 06 7F" + "AA 06 02 01 02" + "A5 06 01 02 03 04" + "A1 06 0102030405060708",
);

const goHandshake = hex("08 01 12 05 6D 61 67 69 63");

describe("a handshake", () => {
  test("of the Go original is read: version 1, magic, and nothing of ours", () => {
    expect(decodeHandshake(goHandshake)).toEqual({ version: 1, magic: "magic", hello: undefined });
  });

  test("without our part is written as the Go original does", () => {
    const bytes = encodeHandshake({ version: 1, magic: "magic", hello: undefined });

    expect(bytes).toEqual(goHandshake);
  });

  test("with our part starts with the two fields of the Go original", () => {
    const bytes = encodeHandshake({ version: 1, magic: "magic", hello: pluginHello });

    expect(bytes.subarray(0, goHandshake.byteLength)).toEqual(goHandshake);
    expect(bytes.byteLength).toBeGreaterThan(goHandshake.byteLength);
  });

  test("leaves out what is zero or empty, as the Go original does", () => {
    expect(encodeHandshake({ version: 0, magic: "", hello: undefined })).toEqual(new Uint8Array(0));
    expect(decodeHandshake(new Uint8Array(0))).toEqual({ version: 0, magic: "", hello: undefined });
  });

  test("brings over the reason of a refusal, of the runtime's own codes too", () => {
    const error = new PlugError("handshake_mismatch", "other services");
    const bytes = encodeHandshake({ version: 1, magic: "m", hello: { ...pluginHello, error } });

    const read = decodeHandshake(bytes).hello?.error;

    expect([read?.code, read?.rawMessage, read?.origin]).toEqual([
      "handshake_mismatch",
      "other services",
      "peer",
    ]);
  });

  const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const handshakes: fc.Arbitrary<Handshake> = fc.record({
    version: u32,
    magic: fc.string(),
    hello: fc.record({
      role: fc.constantFrom("host", "plugin", undefined),
      protocols: fc.array(u32),
      services: fc.array(
        fc.record({
          name: fc.string(),
          versions: fc.array(u32),
          methods: fc.array(fc.string()),
          firstMethodId: u32,
        }),
        { maxLength: 4 },
      ),
      limits: fc.record(
        { maxMessageBytes: u32, maxInFlightCalls: u32 },
        { requiredKeys: [] },
      ) as fc.Arbitrary<Hello["limits"]>,
      transports: fc.array(fc.record({ kind: fc.string(), fds: fc.array(u32) }), { maxLength: 4 }),
      runtime: fc.string(),
      error: fc.constant(undefined),
      offers: fc.array(
        fc.record({
          name: fc.string(),
          versions: fc.array(u32),
          methods: fc.array(fc.string()),
          firstMethodId: u32,
        }),
        { maxLength: 2 },
      ),
      origin: u32,
    }),
  });

  test("is read as it was written", () => {
    fc.assert(
      fc.property(handshakes, (handshake) => {
        expect(decodeHandshake(encodeHandshake(handshake))).toEqual(handshake);
      }),
      { numRuns: 1_000, seed: 30 },
    );
  });

  test("may have fields that are not known, before, between and behind", () => {
    const handshake: Handshake = { version: 1, magic: "magic", hello: pluginHello };
    const bytes = encodeHandshake(handshake);
    const hello = bytes.subarray(goHandshake.byteLength);

    const read = [
      joined(unknownFields, bytes),
      joined(goHandshake, unknownFields, hello),
      joined(bytes, unknownFields),
    ].map(decodeHandshake);

    expect(read).toEqual([handshake, handshake, handshake]);
  });

  test("may have fields that are not known in every message of ours", () => {
    // hello { role: 2, unknown…, services { name: "a", unknown… }, limits { unknown… },
    // transports { kind: "b", unknown… } }
    const inner = (field: number, ...parts: Uint8Array[]): Uint8Array => {
      const body = joined(...parts, unknownFields);
      return joined(Uint8Array.of((field << 3) | 2, body.byteLength), body);
    };
    const bytes = inner(
      10,
      hex("08 02"),
      inner(3, hex("0A 01 61")),
      inner(4),
      inner(5, hex("0A 01 62")),
    );

    const { hello } = decodeHandshake(bytes);

    expect(hello?.role).toBe("plugin");
    expect(hello?.services.map(({ name }) => name)).toEqual(["a"]);
    expect(hello?.transports.map(({ kind }) => kind)).toEqual(["b"]);
  });

  test("throws nothing but an Error, whatever the bytes", () => {
    const mutated = fc.tuple(handshakes, fc.nat(), fc.nat(255)).map(([handshake, at, byte]) => {
      const bytes = encodeHandshake(handshake);
      bytes[at % bytes.byteLength] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
        let result: unknown;
        try {
          result = decodeHandshake(bytes);
        } catch (error) {
          result = error;
        }
        const isRead = typeof (result as Handshake).version === "number";
        expect(isRead || result instanceof Error).toBe(true);
      }),
      { numRuns: 5_000, seed: 31 },
    );
  });

  test("of a million open groups is an Error, and not the end of the process", () => {
    expect(() => decodeHandshake(new Uint8Array(1_000_000).fill(0x1b))).toThrow();
  });
});

describe("a limit of the peer", () => {
  const names = Object.keys(defaultLimits) as (keyof Limits)[];
  const counted = names.filter((name) => name !== "maxMetadataBytes");

  test.each(counted)("%s that is 0 or not said is the default", (name) => {
    expect(peerLimits({ [name]: 0 }, "peer/1")).toEqual(defaultLimits);
    expect(peerLimits({ [name]: undefined }, "peer/1")).toEqual(defaultLimits);
    expect(peerLimits({}, "peer/1")).toEqual(defaultLimits);
  });

  test("maxMetadataBytes that is 0 is meant, also when it has been written and read", () => {
    const hello = { ...pluginHello, limits: { maxMetadataBytes: 0 } };
    const bytes = encodeHandshake({ version: 1, magic: "m", hello });

    const limits = decodeHandshake(bytes).hello?.limits ?? {};

    expect(peerLimits(limits, "peer/1")).toEqual({ ...defaultLimits, maxMetadataBytes: 0 });
  });

  test.each(names)("%s that is more than an option may say is the most that one may", (name) => {
    const limits = peerLimits({ [name]: 2 ** 32 - 1 }, "peer/1");

    const most = limits[name];
    expect(limits).toEqual({ ...defaultLimits, [name]: most });
    expect(checkedLimits({ [name]: most })).toEqual(limits);
    expect(thrown(() => checkedLimits({ [name]: most + 1 })).code).toBe("invalid_argument");
    expect(peerLimits({ [name]: most + 1 }, "peer/1")).toEqual(limits);
  });

  test.each(["maxMessageBytes", "streamWindowBytes", "connectionWindowBytes"] as const)(
    "%s of less than 1,024 is handshake_mismatch, which says whose it is",
    (name) => {
      const error = thrown(() => peerLimits({ [name]: 1_023 }, "peer/1"));

      expect(error.code).toBe("handshake_mismatch");
      expect(error.rawMessage).toStartWith(`the limits of the peer (peer/1): ${name} must be`);
      expect(peerLimits({ [name]: 1_024 }, "peer/1")[name]).toBe(1_024);
    },
  );

  test("on calls, streams and nested calls of 1 is taken", () => {
    const limits = { maxInFlightCalls: 1, maxInFlightStreams: 1, maxNestedCalls: 1 };

    expect(peerLimits(limits, "peer/1")).toMatchObject(limits);
  });
});

test("runtimeName names the package, Bun and the platform", () => {
  expect(runtimeName).toBe(
    `bun-plug/${packageVersion} bun/${Bun.version} ${process.platform}-${process.arch}`,
  );
});
