// A peer that sends anything: it ends the connection, and nothing else.

import { describe, expect, test } from "bun:test";

import { isPlugError } from "bun-plug";
import fc from "fast-check";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { scripted } from "../support/connections.ts";
import { joined, randomCuts } from "../support/cuts.ts";
import { settled } from "../support/fake-transport.ts";
import {
  cancelFrame,
  errorFrame,
  frame,
  request,
  response,
  split,
  u32,
} from "../support/frames.ts";
import { bytes, echo, KeepingHandler, Outcomes } from "../support/payloads.ts";
import { patternBytes, seeded, shuffled } from "../support/random.ts";

const callCount = 8;

/** Feeds a connection with calls both ways in flight, ends it, and looks what became of it. */
async function feed(stream: Uint8Array, maxChunkBytes: number, seed: number): Promise<void> {
  const random = seeded(seed);
  const handler = random(2) === 0 ? echo : new KeepingHandler();
  const limits = { maxMessageBytes: 4096, maxInFlightCalls: 6 };
  const peer = scripted({ limits, handler });
  const { signal } = new AbortController();
  const results = Array.from({ length: callCount }, (_, i) =>
    peer.call(bytes(i), i % 2 === 0 ? { signal, timeoutMs: 60_000 } : undefined),
  );
  const outcomes = new Outcomes(results);
  await settled();

  for (const chunk of randomCuts(stream, random, maxChunkBytes)) {
    peer.transport.deliver(chunk);
    if (random(8) === 0) await settled();
  }
  peer.transport.end();
  await settled();

  expect(outcomes.settledCount).toBe(callCount);
  expect(outcomes.errors.filter((error) => error !== undefined && !isPlugError(error))).toEqual([]);
  expect(["unavailable", "protocol_error"]).toContain(peer.connection.closeReason?.code as string);
  expect(peer.transport.closeCount).toBe(1);
  const { inFlightCount, incomingCount, deadlineCount } = peer.connection;
  expect([inFlightCount, incomingCount, deadlineCount]).toEqual([0, 0, 0]);
}

// Frames that a peer may send while the calls above are in flight, in an order that may be wrong.
const validFrames = fc.tuple(fc.integer(), fc.nat(40)).map(([seed, count]) => {
  const random = seeded(seed);
  const id = (): number => 1 + random(callCount);
  const makers: readonly (() => Uint8Array)[] = [
    () => response(id(), patternBytes(random(300))),
    () => response(id(), patternBytes(5_000)),
    () => errorFrame(id(), "not_found", "x"),
    () => request(100 + random(20), patternBytes(random(50)), random(3)),
    () => cancelFrame(100 + random(20)),
    () => frame({ requestId: 200 + random(9), flags: FrameFlag.Deadline, payload: u32(random(9)) }),
    () => frame({ kind: 77, flags: FrameFlag.Ignorable, payload: patternBytes(random(20)) }),
    () => joined(...split(FrameKind.Response, id(), patternBytes(1 + random(5_000)), 700)),
    () => joined(...split(FrameKind.Request, 300 + random(9), patternBytes(3_000), 700)),
    () =>
      split(FrameKind.Request, 400 + random(9), patternBytes(3_000), 700)[random(4)] as Uint8Array,
    () => split(FrameKind.Response, id(), patternBytes(3_000), 700)[random(4)] as Uint8Array,
  ];
  return Array.from({ length: count }, () => makers[random(makers.length)]?.() as Uint8Array);
});

const mutation = fc.record({ at: fc.nat(), byte: fc.nat(255), isInHeader: fc.boolean() });
const mutatedStreams = fc
  .tuple(validFrames, fc.array(mutation, { maxLength: 3 }))
  .map(([frames, mutations]) => {
    const copies = frames.map((bytes) => bytes.slice());
    for (const { at, byte, isInHeader } of mutations) {
      const target = copies[at % Math.max(1, copies.length)];
      if (target === undefined) continue;
      target[(at >>> 8) % (isInHeader ? 12 : target.byteLength)] = byte;
    }
    return joined(...copies);
  });

// All the right answers, so that only the mutation and the order are wrong.
const answers = fc
  .tuple(fc.integer(), fc.array(mutation, { maxLength: 2 }))
  .map(([seed, mutations]) => {
    const all = Array.from({ length: callCount }, (_, i) => response(i + 1, patternBytes(i * 9)));
    const stream = joined(...shuffled(all, seeded(seed)));
    for (const { at, byte } of mutations) stream[at % stream.byteLength] = byte;
    return stream;
  });

describe("a connection whose peer sends", () => {
  const chunkBytes = fc.integer({ min: 1, max: 900 });
  const cases: readonly [string, fc.Arbitrary<Uint8Array>, number][] = [
    ["any bytes", fc.uint8Array({ maxLength: 400 }), 1_500],
    ["valid frames in any order, with a few bytes changed,", mutatedStreams, 1_200],
    ["the right answers, with a few bytes changed,", answers, 1_500],
  ];
  test.each(cases)(
    "%s ends with a PlugError, and every call settles",
    async (_, stream, numRuns) => {
      await fc.assert(fc.asyncProperty(stream, chunkBytes, fc.integer(), feed), {
        numRuns,
        seed: 17,
      });
    },
    30_000,
  );
});
