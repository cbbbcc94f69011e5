import { describe, expect, test } from "bun:test";

import { isPlugError } from "bun-plug";
import fc from "fast-check";
import { defaultLimits } from "../../src/call/limits.ts";
import { wire1Frame, Wire1Reader } from "../../src/frame/wire1-frame.ts";
import { decodeHandshake, encodeHandshake, type Handshake } from "../../src/handshake/hello.ts";
import { offerFrame } from "../../src/handshake/host-handshake.ts";
import { OfferReader, type ServedService } from "../../src/handshake/plugin-handshake.ts";
import { byteByByte, cutsInTwo, joined, randomCuts } from "../support/cuts.ts";
import {
  decisionOf,
  exchange,
  offeredTransports,
  pluginHello,
  servedKv,
  wantedKv,
} from "../support/hellos.ts";
import { patternBytes, seeded } from "../support/random.ts";
import { rejection, thrown } from "../support/rejection.ts";

const offer = offerFrame([wantedKv], defaultLimits, offeredTransports);
const goOffer = Uint8Array.from(Buffer.from("00ff09080112056d61676963", "hex"));
const logger: ServedService = {
  ...servedKv,
  name: "example.Logger",
  index: 1,
  magic: "log",
  methods: ["Log"],
};

function frameOf(bytes: Uint8Array): { readonly id: number; readonly payload: Uint8Array } {
  const frames: { id: number; payload: Uint8Array }[] = [];
  new Wire1Reader(65_536, {
    frame: (id, buffer, from, to) => void frames.push({ id, payload: buffer.slice(from, to) }),
  }).push(bytes, 0, bytes.byteLength);
  return frames[0] as { id: number; payload: Uint8Array };
}

describe("OfferReader", () => {
  test("takes an offer at every way of cutting it, and says how much of the chunk was its", () => {
    const rest = patternBytes(20);
    for (const [left, right] of cutsInTwo(joined(offer, rest))) {
      const reader = new OfferReader();
      const leftEnd = reader.push(left);
      const end =
        leftEnd === undefined ? left.byteLength + (reader.push(right) as number) : leftEnd;

      expect(end).toBe(offer.byteLength);
      expect(reader.decide([servedKv], defaultLimits).wire).toBe(2);
    }
  });

  test("takes an offer byte by byte", () => {
    const reader = new OfferReader();
    const ends = byteByByte(offer).map((byte) => reader.push(byte));

    expect(ends.slice(0, -1).every((end) => end === undefined)).toBe(true);
    expect(ends.at(-1)).toBe(1);
  });

  test.each([
    ["what somebody types", new TextEncoder().encode("hello\n")],
    ["a request", wire1Frame(0x0001, patternBytes(5))],
    ["an offer of more than 64 KiB", Uint8Array.of(0x00, 0xff, 0x81, 0x80, 0x04)],
    ["a length that is none", Uint8Array.of(0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
  ])("throws handshake_mismatch for %s", (_, bytes) => {
    for (const chunks of [[bytes], byteByByte(bytes)]) {
      const reader = new OfferReader();

      const error = thrown(() => chunks.forEach((chunk) => reader.push(chunk)));

      expect(error.message).toBe(
        "[handshake_mismatch] what came on stdin is not the handshake of a host; a plugin is started by load…, not by hand",
      );
    }
  });

  test("throws handshake_mismatch when it decides on an offer that cannot be read", () => {
    const error = thrown(() =>
      decisionOf(wire1Frame(0x00ff, Uint8Array.of(0x12, 0x7f)), [servedKv]),
    );

    expect(error.code).toBe("handshake_mismatch");
  });

  test("throws nothing but handshake_mismatch, whatever the bytes, and holds 64 KiB at most", () => {
    const mutated = fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => {
      const bytes = offer.slice();
      bytes[at % bytes.byteLength] = byte;
      return bytes;
    });
    const framed = fc.uint8Array({ maxLength: 100 }).map((bytes) => wire1Frame(0x00ff, bytes));
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 100 }), mutated, framed),
        fc.integer(),
        (bytes, seed) => {
          const reader = new OfferReader();
          let result: unknown = "more";
          try {
            for (const chunk of randomCuts(bytes, seeded(seed), 20)) {
              if (reader.push(chunk) === undefined) continue;
              result = reader.decide([servedKv], defaultLimits).wire ?? "refused";
              break;
            }
          } catch (error) {
            result = isPlugError(error) ? error.code : error;
          }
          expect(["more", 1, 2, "refused", "handshake_mismatch"]).toContain(result as string);
        },
      ),
      { numRuns: 5_000, seed: 33 },
    );
  });
});

describe("a host of ours", () => {
  test("gets the services it asked for, with their methods, and the transport that was chosen", async () => {
    const { decision, outcome } = await exchange([wantedKv], [logger, servedKv]);

    expect(decision).toMatchObject({ wire: 2, hostLimits: defaultLimits });
    expect(await outcome).toMatchObject({
      wire: 2,
      services: [{ name: "example.KV", versions: [1], methods: ["Get", "Put"], firstMethodId: 1 }],
      transport: { kind: "socket", fds: [3] },
    });
  });

  test("gets method ids that do not depend on what it asks for, nor in which order", async () => {
    const wanted = [{ ...wantedKv, name: "example.Logger" }, wantedKv];
    const { outcome } = await exchange(wanted, [servedKv, logger]);

    expect(await outcome).toMatchObject({
      services: [
        { name: "example.Logger", methods: ["Log"], firstMethodId: 2 },
        { name: "example.KV", methods: ["Get", "Put"], firstMethodId: 0 },
      ],
    });
  });

  test("is served by name: index, magic and version of the Go original are not looked at", async () => {
    const wanted = { ...wantedKv, index: 9, magic: "other", version: 77 };
    const { outcome } = await exchange([wanted], [servedKv]);

    expect((await outcome).wire).toBe(2);
  });

  test("gets the highest version that both have", async () => {
    const wanted = { ...wantedKv, versions: [1, 2, 3] };
    const { outcome } = await exchange([wanted], [{ ...servedKv, versions: [2, 3, 4] }]);

    expect(await outcome).toMatchObject({ services: [{ versions: [3] }] });
  });

  test("that says no limits gets the defaults", () => {
    const bytes = encodeHandshake({
      version: 1,
      magic: "magic",
      hello: { ...pluginHello, role: "host", limits: {} },
    });

    expect(decisionOf(wire1Frame(0x00ff, bytes), [servedKv])).toMatchObject({
      hostLimits: { maxMessageBytes: 64 * 1024 * 1024, maxInFlightCalls: 16_384 },
    });
  });

  test("that says limits of 0, or beyond ours, gets the defaults, or our most", () => {
    const limits = { maxMessageBytes: 0, streamWindowBytes: 2 ** 31, maxMetadataBytes: 0 };
    const bytes = encodeHandshake({
      version: 1,
      magic: "magic",
      hello: { ...pluginHello, role: "host", limits },
    });

    expect(decisionOf(wire1Frame(0x00ff, bytes), [servedKv])).toMatchObject({
      hostLimits: { ...defaultLimits, streamWindowBytes: 2 ** 30, maxMetadataBytes: 0 },
    });
  });

  const cases: readonly [string, Partial<typeof wantedKv>, string][] = [
    [
      "another service",
      { name: "example.Other" },
      "the host asked for example.Other; the plugin serves example.KV, example.Logger",
    ],
    [
      "another version",
      { versions: [2, 3] },
      "the host asked for example.KV version 2 or 3; the plugin serves version 1",
    ],
  ];
  test.each(cases)("that wants %s is told both, and so is the plugin", async (_, wanted, text) => {
    const { decision, outcome } = await exchange([{ ...wantedKv, ...wanted }], [servedKv, logger]);

    const error = await rejection(outcome);

    expect([error.code, error.rawMessage, error.origin]).toEqual([
      "handshake_mismatch",
      text,
      "peer",
    ]);
    expect(decision.wire === undefined && decision.error.rawMessage).toBe(text);
  });

  test("that speaks another wire is told both", () => {
    const bytes = encodeHandshake({
      version: 1,
      magic: "magic",
      hello: { ...pluginHello, role: "host", protocols: [3, 4], runtime: "peer/9" },
    });

    const decision = decisionOf(wire1Frame(0x00ff, bytes), [servedKv]);

    expect(decision.wire === undefined && decision.error.rawMessage).toStartWith(
      "the host (peer/9) speaks wire 3, 4; this plugin (bun-plug/",
    );
  });

  test("with limits that no host may have is refused with handshake_mismatch", () => {
    const limits = { maxMessageBytes: 1, maxInFlightCalls: 1 };
    const bytes = encodeHandshake({
      version: 1,
      magic: "magic",
      hello: { ...pluginHello, role: "host", limits },
    });

    const decision = decisionOf(wire1Frame(0x00ff, bytes), [servedKv]);

    expect(decision.wire === undefined && decision.error.code).toBe("handshake_mismatch");
  });
});

describe("a host of the Go original", () => {
  test("is answered with its own frame: 00 FF 09 08 01 12 05 6D 61 67 69 63", () => {
    const decision = decisionOf(goOffer, [servedKv]);

    expect(decision).toEqual({ wire: 1, service: servedKv, version: 1, answer: goOffer });
  });

  test("gets, of several services, the one whose index, magic and version match", () => {
    const twin = { ...logger, name: "example.Twin", magic: "twin" };
    const bytes = encodeHandshake({ version: 1, magic: "twin", hello: undefined });

    const decision = decisionOf(wire1Frame(0x01ff, bytes), [servedKv, logger, twin]);

    expect(decision).toMatchObject({ wire: 1, service: { name: "example.Twin" } });
  });

  const cases: readonly [string, number, Omit<Handshake, "hello">][] = [
    ["service", 0x05ff, { version: 1, magic: "magic" }],
    ["magic", 0x00ff, { version: 1, magic: "other" }],
    ["version", 0x00ff, { version: 2, magic: "magic" }],
  ];
  test.each(cases)("is told of a %s mismatch, with the values of both sides", (what, id, asked) => {
    const bytes = encodeHandshake({ ...asked, hello: undefined });

    const decision = decisionOf(wire1Frame(id, bytes), [servedKv, logger]);

    const text =
      `${what} mismatch in handshake: the host asked for service index ${id >> 8}, ` +
      `magic "${asked.magic}", version ${asked.version}; the plugin serves ` +
      'example.KV (service index 0, magic "magic", version 1), ' +
      'example.Logger (service index 1, magic "log", version 1)';
    expect(decision.wire === undefined && decision.error.message).toBe(
      `[handshake_mismatch] ${text}`,
    );
    const answer = frameOf((decision as { readonly answer: Uint8Array }).answer);
    expect([answer.id, new TextDecoder().decode(answer.payload)]).toEqual([0xff00, text]);
  });
});

test("an answer carries the Go original's two fields of the first service", () => {
  const decision = decisionOf(offer, [servedKv]);
  const answer =
    decision.wire === 2 ? decision.answer({ kind: "stdio", fds: [] }) : new Uint8Array(0);

  const { version, magic, hello } = decodeHandshake(frameOf(answer).payload);

  expect([version, magic, hello?.role]).toEqual([1, "magic", "plugin"]);
});
