import { heapStats } from "bun:jsc";

import { describe, expect, test } from "bun:test";

import { isPlugError, PlugError } from "bun-plug";
import fc from "fast-check";
import { defaultLimits } from "../../src/call/limits.ts";
import { wire1Frame } from "../../src/frame/wire1-frame.ts";
import { decodeHandshake } from "../../src/handshake/hello.ts";
import {
  AnswerReader,
  offerFrame,
  type WantedService,
} from "../../src/handshake/host-handshake.ts";
import { runtimeName } from "../../src/handshake/runtime-name.ts";
import type { Receiver } from "../../src/transport/transport.ts";
import { byteByByte, cutsInTwo, joined, randomCuts } from "../support/cuts.ts";
import { FakeTransport } from "../support/fake-transport.ts";
import { answerFrame, offeredTransports, outcomeOf, wantedKv } from "../support/hellos.ts";
import { patternBytes, seeded } from "../support/random.ts";
import { rejection, thrown } from "../support/rejection.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("offerFrame", () => {
  const offer = offerFrame([wantedKv], defaultLimits, offeredTransports);

  test("starts as the Go original's own: 00 FF, a length, 08 01 12 05 6D 61 67 69 63", () => {
    const frame = Buffer.from(offer).toString("hex");

    expect(frame).toMatch(/^00ff(..){1,2}080112056d61676963/);
  });

  test("has the index, magic and version of the first service in the original's places", () => {
    const wanted = [{ ...wantedKv, index: 5, magic: "m", version: 7, versions: [7] }, wantedKv];
    const frame = offerFrame(wanted, defaultLimits, offeredTransports);

    expect([...frame.subarray(0, 2)]).toEqual([5, 0xff]);
    const { version, magic } = decodeHandshake(payload(frame));
    expect([version, magic]).toEqual([7, "m"]);
  });

  test("says who is there, what is wanted, what is accepted, and by which ways", () => {
    const { hello } = decodeHandshake(payload(offer));

    expect(hello).toEqual({
      role: "host",
      protocols: [2],
      services: [{ name: "example.KV", versions: [1], methods: [], firstMethodId: 0 }],
      limits: defaultLimits,
      transports: [...offeredTransports],
      runtime: runtimeName,
      error: undefined,
      offers: [],
      origin: 0,
    });
  });

  test("of more than 4,096 bytes is resource_exhausted, with both numbers", () => {
    const services = (count: number): WantedService[] =>
      Array.from({ length: count }, (_, i) => ({ ...wantedKv, name: `example.Service${i}` }));
    let most = 1;
    while (isTaken(services(most + 1))) most += 1;

    const longest = offerFrame(services(most), defaultLimits, offeredTransports);
    const error = thrown(() => offerFrame(services(most + 1), defaultLimits, offeredTransports));

    expect(longest.byteLength).toBeLessThanOrEqual(4096);
    expect(longest.byteLength).toBeGreaterThan(4000);
    expect(error.code).toBe("resource_exhausted");
    expect(error.message).toMatch(
      new RegExp(`for ${most + 1} services and 0 offered ones has \\d{4} bytes, more than 4096`),
    );

    function isTaken(wanted: readonly WantedService[]): boolean {
      try {
        return offerFrame(wanted, defaultLimits, offeredTransports).byteLength > 0;
      } catch {
        return false;
      }
    }
  });

  function payload(frame: Uint8Array): Uint8Array {
    const headerBytes = (frame[2] as number) < 0x80 ? 3 : 4;
    return frame.subarray(headerBytes);
  }
});

describe("the answer of a plugin of ours", () => {
  test("gives its services, limits, transport and runtime", async () => {
    const limits = {
      maxMessageBytes: 4096,
      maxInFlightCalls: 3,
      maxInFlightStreams: 2,
      maxNestedCalls: 4,
      maxMetadataBytes: 100,
      streamWindowBytes: 2048,
      connectionWindowBytes: 4096,
    };

    expect(await outcomeOf([wantedKv], answerFrame({ limits }))).toEqual({
      wire: 2,
      services: [{ name: "example.KV", versions: [1], methods: ["Get", "Put"], firstMethodId: 0 }],
      limits,
      transport: { kind: "stdio", fds: [] },
      runtime: "peer/1",
      origin: 0,
    });
  });

  test("is taken at every way of cutting it in two, and byte by byte", async () => {
    const answer = answerFrame({});

    for (const chunks of [...cutsInTwo(answer).drop(1), byteByByte(answer)]) {
      expect((await outcomeOf([wantedKv], ...chunks)).wire).toBe(2);
    }
  });

  test("without limits stands for the defaults", async () => {
    expect(await outcomeOf([wantedKv], answerFrame({ limits: {} }))).toMatchObject({
      limits: { maxMessageBytes: 64 * 1024 * 1024, maxInFlightCalls: 16_384 },
    });
  });

  test("with limits that are 0, or beyond ours, stands for the defaults, or for our most", async () => {
    const limits = { maxMessageBytes: 0, maxInFlightCalls: 2 ** 32 - 1 };

    expect(await outcomeOf([wantedKv], answerFrame({ limits }))).toMatchObject({
      limits: { maxMessageBytes: 64 * 1024 * 1024, maxInFlightCalls: 524_288 },
    });
  });

  test("is not looked at for the Go original's two fields", async () => {
    const answer = answerFrame({}, { version: 99, magic: "other" });

    expect((await outcomeOf([wantedKv], answer)).wire).toBe(2);
  });

  test("may choose any of the versions that the host can work with", async () => {
    const wanted = { ...wantedKv, versions: [1, 2, 3] };
    const services = [{ name: "example.KV", versions: [3], methods: [], firstMethodId: 0 }];

    expect(await outcomeOf([wanted], answerFrame({ services }))).toMatchObject({ services });
  });
});

describe("the answer of a plugin of the Go original", () => {
  test("is wire 1: 00 FF 09 08 01 12 05 6D 61 67 69 63", async () => {
    const answer = Uint8Array.from(Buffer.from("00ff09080112056d61676963", "hex"));

    for (const chunks of [...cutsInTwo(answer).drop(1), byteByByte(answer)]) {
      expect(await outcomeOf([wantedKv], ...chunks)).toEqual({ wire: 1 });
    }
  });
});

describe("a mismatch", () => {
  const second = { ...wantedKv, name: "example.Logger", index: 1 };
  const service = { name: "example.KV", versions: [4], methods: [], firstMethodId: 0 };
  const cases: readonly [string, readonly WantedService[], Uint8Array, string][] = [
    [
      "of the magic on wire 1",
      [wantedKv],
      answerFrame(undefined, { magic: "other" }),
      'the plugin has magic "other" and version 1; the host asked for example.KV with magic "magic" and version 1',
    ],
    [
      "of the version on wire 1",
      [wantedKv],
      answerFrame(undefined, { version: 2 }),
      'the plugin has magic "magic" and version 2; the host asked for example.KV with magic "magic" and version 1',
    ],
    [
      "that the Go original finds itself",
      [wantedKv],
      wire1Frame(0xff00, utf8("magic mismatch in handshake")),
      'the plugin refused: "magic mismatch in handshake"; the host asked for example.KV by service index 0, magic "magic", version 1',
    ],
    [
      "of several services with one of the Go original",
      [wantedKv, second],
      answerFrame(undefined),
      "serves one service; the host asked for 2: example.KV, example.Logger",
    ],
    [
      "of the version of a service on wire 2",
      [{ ...wantedKv, versions: [1, 2] }],
      answerFrame({ services: [service] }),
      "the host asked for example.KV version 1 or 2, and the plugin answered with version 4",
    ],
    [
      "of the service on wire 2",
      [second],
      answerFrame({ services: [service] }, { id: 0x01ff }),
      "the host asked for example.Logger version 1, and the plugin answered with other services",
    ],
    [
      "of the wire",
      [wantedKv],
      answerFrame({ protocols: [3] }),
      `the plugin (peer/1) chose wire 3; this host (${runtimeName}) speaks wire 2`,
    ],
    [
      "that the plugin finds",
      [wantedKv],
      answerFrame({ error: new PlugError("handshake_mismatch", "not with you"), services: [] }),
      "not with you",
    ],
  ];
  test.each(cases)("%s is handshake_mismatch and names both", async (_, wanted, answer, text) => {
    const error = await rejection(outcomeOf(wanted, answer));

    expect(error.code).toBe("handshake_mismatch");
    expect(error.message).toContain(text);
  });

  // It is not the user's option that is out of range, so it must not read as if it were.
  test("of limits that no plugin may have is handshake_mismatch, and no invalid_argument", async () => {
    const answer = answerFrame({ limits: { maxMessageBytes: 1, maxInFlightCalls: 16 } });

    const error = await rejection(outcomeOf([wantedKv], answer));

    expect(error.code).toBe("handshake_mismatch");
    expect(error.message).toContain("maxMessageBytes");
  });
});

describe("a program that is no plugin", () => {
  test("because it repeats its input, as cat does, is named so", async () => {
    const offer = offerFrame([wantedKv], defaultLimits, offeredTransports);

    const error = await rejection(outcomeOf([wantedKv], offer));

    expect(error.message).toBe(
      "[not_a_plugin] the program echoed the handshake: it repeats its input, and is no plugin",
    );
  });

  test("is quoted", async () => {
    const error = await rejection(outcomeOf([wantedKv], utf8('Usage: ls "[OPTION]"... [FILE]\n')));

    expect(error.message).toBe(
      '[not_a_plugin] the program printed "Usage: ls \\"[OPTION]\\"... [FILE]\\n" instead of a handshake; a plugin\'s own prints must come after run…',
    );
  });

  test("is found out by its first byte", async () => {
    const [first, ...rest] = byteByByte(utf8("Usage")) as [Uint8Array, ...Uint8Array[]];

    expect((await rejection(outcomeOf([wantedKv], first, ...rest))).message).toContain(
      'printed "U"',
    );
  });

  test("is quoted with its first 200 bytes", async () => {
    const error = await rejection(outcomeOf([wantedKv], utf8("x".repeat(1_000))));

    expect(error.message).toContain(`"${"x".repeat(200)}…"`);
    expect(error.message).not.toContain("x".repeat(201));
  });

  test.each([
    ["a handshake that cannot be read", wire1Frame(0x00ff, Uint8Array.of(0x12, 0x7f, 1))],
    ["an answer of more than 4 MiB", Uint8Array.of(0x00, 0xff, 0x81, 0x80, 0x80, 0x02)],
    ["a length that is none", Uint8Array.of(0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ["an answer without a role", answerFrame({ role: undefined })],
    ["an answer without a transport", answerFrame({ transports: [] })],
    ["the handshake of another service", answerFrame({}, { id: 0x01ff })],
  ])("says so by %s", async (_, answer) => {
    expect((await rejection(outcomeOf([wantedKv], answer))).code).toBe("not_a_plugin");
  });

  test("and ends is told apart from one that ends in the middle", async () => {
    const [silent, halfway] = [new AnswerReader([wantedKv]), new AnswerReader([wantedKv])];
    halfway.receive(answerFrame({}), 0, 10);

    silent.ended();
    halfway.ended();

    const errors = await Promise.all([rejection(silent.outcome), rejection(halfway.outcome)]);
    expect(errors.map(({ message }) => message)).toEqual([
      "[not_a_plugin] the program closed its output without answering the handshake; a plugin has to call run…",
      "[not_a_plugin] the program closed its output in the middle of the handshake, after 10 bytes",
    ]);
  });

  test("is not one that has said nothing yet: a chunk of no bytes changes nothing", async () => {
    const answer = answerFrame({});

    expect((await outcomeOf([wantedKv], new Uint8Array(0), answer)).wire).toBe(2);
  });
});

test("an answer of 4 MiB makes the host take little more memory than that", async () => {
  // hello { services {} services {} … }: two bytes for each of two million services.
  const hello = new Uint8Array(4 * 1024 * 1024 - 16).fill(0x1a);
  for (let i = 1; i < hello.byteLength; i += 2) hello[i] = 0;
  const field = wire1Frame(0, hello).subarray(2); // a length in front
  const answer = wire1Frame(0x00ff, joined(Uint8Array.of(0x52), field));
  Bun.gc(true);
  const before = heapStats().heapSize;

  const result = await outcomeOf([wantedKv], answer).then(
    ({ wire }) => wire,
    ({ code }: PlugError) => code,
  );
  const takenBytes = heapStats().heapSize - before;

  expect(["not_a_plugin", "handshake_mismatch"]).toContain(result as string);
  expect(takenBytes).toBeLessThan(64 * 1024 * 1024);
});

describe("AnswerReader.handOver", () => {
  test("gives the next receiver what came behind the answer, and what comes then", async () => {
    const answer = answerFrame({});
    const [early, late] = [patternBytes(50, 1), patternBytes(50, 2)];
    for (const [left, right] of cutsInTwo(joined(answer, early))) {
      const transport = new FakeTransport();
      const reader = new AnswerReader([wantedKv]);
      transport.start(reader);
      for (const chunk of [left, right]) if (chunk.byteLength > 0) transport.deliver(chunk);
      await reader.outcome;
      const seen: Uint8Array[] = [];

      reader.handOver(transport, {
        receive: (chunk, from, to) => void seen.push(chunk.slice(from, to)),
        writable() {},
        ended() {},
      });
      transport.deliver(late);

      expect(joined(...seen)).toEqual(joined(early, late));
    }
  });

  // As the transports do that a program's stdout is read from.
  class EndedTransport extends FakeTransport {
    override start(receiver: Receiver): void {
      super.start(receiver);
      this.end();
    }
  }

  test("gives what came behind the answer before the end, which may have come already", async () => {
    const early = patternBytes(50);
    const reader = new AnswerReader([wantedKv]);
    const answer = answerFrame({});
    reader.receive(joined(answer, early), 0, answer.byteLength + 20);
    reader.receive(early, 20, 50);
    reader.ended();
    await reader.outcome;
    const seen: (Uint8Array | "end")[] = [];

    reader.handOver(new EndedTransport(), {
      receive: (chunk, from, to) => void seen.push(chunk.slice(from, to)),
      writable() {},
      ended: () => seen.push("end"),
    });

    expect(seen).toEqual([early.subarray(0, 20), early.subarray(20), "end"]);
  });

  test("keeps the order of what comes while it gives what came before", async () => {
    const transport = new FakeTransport();
    const reader = new AnswerReader([wantedKv]);
    transport.start(reader);
    transport.deliver(joined(answerFrame({}), Uint8Array.of(1)));
    transport.deliver(Uint8Array.of(2));
    await reader.outcome;
    const seen: number[] = [];

    reader.handOver(transport, {
      receive(chunk, from, to) {
        seen.push(...chunk.subarray(from, to));
        if (seen.length === 1) transport.deliver(Uint8Array.of(3));
      },
      writable() {},
      ended() {},
    });
    transport.deliver(Uint8Array.of(4));

    expect(seen).toEqual([1, 2, 3, 4]);
  });
});

test("whatever a program says, the outcome is a plugin, not_a_plugin or handshake_mismatch", async () => {
  const answer = fc
    .tuple(fc.constantFrom(answerFrame({}), answerFrame(undefined)), fc.nat(), fc.nat(255))
    .map(([frame, at, byte]) => {
      const bytes = frame.slice();
      bytes[at % bytes.byteLength] = byte;
      return bytes;
    });
  const prose = fc.uint8Array({ maxLength: 100 });
  const framed = prose.map((bytes) => wire1Frame(0x00ff, bytes));
  await fc.assert(
    fc.asyncProperty(fc.oneof(answer, answer, prose, framed), fc.integer(), async (bytes, seed) => {
      const reader = new AnswerReader([wantedKv]);
      for (const chunk of randomCuts(bytes, seeded(seed), 30)) {
        reader.receive(chunk, 0, chunk.byteLength);
      }
      reader.ended();

      const result = await reader.outcome.then(
        ({ wire }) => wire,
        (error: unknown) => (isPlugError(error) ? error.code : error),
      );
      expect([1, 2, "not_a_plugin", "handshake_mismatch"]).toContain(result as string);
    }),
    { numRuns: 5_000, seed: 32 },
  );
});
