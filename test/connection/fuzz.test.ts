// A peer that sends anything: it ends the connection, and nothing else.

import { getEventListeners } from "node:events";

import { describe, expect, test } from "bun:test";

import { isPlugError, PlugError } from "bun-plug";
import fc from "fast-check";
import { encodeError } from "../../src/frame/error-payload.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { encodePreface } from "../../src/frame/preface.ts";
import { encodeService } from "../../src/frame/service-payload.ts";
import { encodeMetadata } from "../../src/metadata/metadata-block.ts";
import { Metadata } from "../../src/metadata/metadata.ts";
import { scripted } from "../support/connections.ts";
import { byteByByte, cutsInTwo, joined, randomCuts } from "../support/cuts.ts";
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
import { patternBytes, type Random, seeded, shuffled } from "../support/random.ts";

const callCount = 8;
const pingCount = 2;

/** Feeds a connection with calls both ways in flight, ends it, and looks what became of it. */
async function feed(stream: Uint8Array, maxChunkBytes: number, seed: number): Promise<void> {
  const random = seeded(seed);
  const handler = random(2) === 0 ? echo : new KeepingHandler();
  const limits = {
    maxMessageBytes: 4096,
    maxInFlightCalls: 6,
    maxNestedCalls: 3,
    maxMetadataBytes: 100,
  };
  const references = { described() {}, released() {} };
  const peer = scripted({ limits, handler, references });
  const { signal } = new AbortController();
  const listeners = { onHeader() {}, onTrailer() {} };
  const terms = [{ signal, timeoutMs: 60_000 }, undefined, { headers: { a: "b" }, ...listeners }];
  const results = Array.from({ length: callCount }, (_, i) => peer.call(bytes(i), terms[i % 3]));
  const pings = Array.from({ length: pingCount }, () => peer.connection.ping());
  const idle = peer.connection.idle();
  const outcomes = new Outcomes([...results, ...pings]);
  if (random(4) === 0) peer.connection.drain(new PlugError("draining", "over"));
  await settled();

  for (const chunk of randomCuts(stream, random, maxChunkBytes)) {
    peer.transport.deliver(chunk);
    if (random(8) === 0) await settled();
  }
  peer.transport.end();
  await settled();

  expect(outcomes.settledCount).toBe(callCount + pingCount);
  expect(outcomes.errors.filter((error) => error !== undefined && !isPlugError(error))).toEqual([]);
  expect(["unavailable", "protocol_error"]).toContain(peer.connection.closeReason?.code as string);
  expect(peer.transport.closeCount).toBe(1);
  const { inFlightCount, idCount, incomingCount, deadlineCount } = peer.connection;
  expect([inFlightCount, idCount, incomingCount, deadlineCount]).toEqual([0, 0, 0, 0]);
  expect(getEventListeners(signal, "abort")).toEqual([]);
  await idle;
}

const { Deadline, FromCallee, Nested } = FrameFlag;
const WithMetadata = FrameFlag.Metadata;
const objectMethods = 0x8000;

function preface(objectId: number, random: Random): Uint8Array {
  const metadata = new Metadata({ name: "v".repeat(random(30)), "raw-bin": bytes(random(256)) });
  // Now and then more than is accepted.
  if (random(8) === 0) metadata.append("name", "w".repeat(90));
  return encodePreface(objectId, encodeMetadata(metadata, 1_000, "headers")) as Uint8Array;
}

/** Frames of the kinds that calls have beside their messages, and those of the connection. */
function asides(random: Random, id: () => number): readonly (() => Uint8Array)[] {
  const error = encodeError(new PlugError("draining", "over"), "runtime");
  const service = { name: "peer.Bell", versions: [1], methods: ["Ring"], firstMethodId: 0 };
  const message = (): Uint8Array => patternBytes(random(50));
  return [
    () => frame({ kind: FrameKind.Ping, requestId: random(9) }),
    () => frame({ kind: FrameKind.Pong, requestId: 1 + random(pingCount) }),
    () => frame({ kind: FrameKind.GoAway, requestId: 0, payload: error }),
    () => frame({ kind: FrameKind.Service, requestId: 0, payload: encodeService(service) }),
    () => frame({ kind: FrameKind.Release, requestId: 0, payload: u32(random(9)) }),
    () =>
      frame({
        kind: FrameKind.Headers,
        flags: FromCallee,
        requestId: id(),
        payload: preface(0, random).subarray(4),
      }),
    () =>
      frame({
        kind: random(2) === 0 ? FrameKind.Response : FrameKind.Error,
        flags: FromCallee | WithMetadata,
        requestId: id(),
        payload: joined(preface(0, random), message()),
      }),
    () =>
      frame({
        flags: Nested | WithMetadata | Deadline,
        requestId: 500 + random(9),
        methodId: objectMethods + random(3),
        payload: joined(u32(random(9)), preface(random(5) + 1, random), message()),
      }),
    () =>
      frame({ flags: Nested, requestId: 510 + random(9), payload: message(), methodId: random(3) }),
    () =>
      frame({
        requestId: 520 + random(9),
        methodId: objectMethods,
        payload: joined(u32(random(5)), message()),
      }),
  ];
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
    ...asides(random, id),
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
    ["any bytes", fc.uint8Array({ maxLength: 400 }), 800],
    ["valid frames in any order, with a few bytes changed,", mutatedStreams, 900],
    ["the right answers, with a few bytes changed,", answers, 900],
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

describe("a conversation with a frame of every kind", () => {
  const block = encodeMetadata(new Metadata({ a: "b" }), 100, "headers");
  const trailers = encodePreface(0, block) as Uint8Array;
  const service = { name: "peer.Bell", versions: [1], methods: ["Ring"], firstMethodId: 0 };
  const stream = joined(
    frame({ kind: FrameKind.Headers, flags: FromCallee, requestId: 1, payload: block }),
    frame({ kind: FrameKind.Ping, requestId: 9 }),
    response(2, [2]),
    frame({
      kind: FrameKind.Response,
      flags: FromCallee | WithMetadata,
      requestId: 1,
      payload: joined(trailers, bytes(1)),
    }),
    frame({ kind: 99, flags: 0xff, payload: [1, 2, 3] }),
    errorFrame(3, "not_found", "no"),
    frame({ kind: FrameKind.Service, requestId: 0, payload: encodeService(service) }),
    frame({ kind: FrameKind.Release, requestId: 0, payload: u32(7) }),
    frame({ kind: FrameKind.Pong, requestId: 1 }),
    request(20, [5]),
    frame({ flags: FrameFlag.ClientStreams, requestId: 21 }),
    frame({ kind: FrameKind.Message, requestId: 21, payload: [6] }),
    frame({ kind: FrameKind.End, requestId: 21 }),
    ...split(FrameKind.Request, 22, patternBytes(60), 25),
    cancelFrame(22),
    ...split(FrameKind.Response, 4, patternBytes(60), 25),
    frame({
      flags: Nested | WithMetadata | Deadline,
      requestId: 23,
      methodId: objectMethods,
      payload: joined(u32(50_000), encodePreface(7, block) as Uint8Array, bytes(8)),
    }),
    frame({ kind: FrameKind.GoAway, requestId: 0 }),
  );

  /** What comes of it, as it is seen from outside. */
  async function outcome(chunks: readonly Uint8Array[]): Promise<unknown> {
    const told: unknown[] = [];
    const peer = scripted({
      handler: echo,
      references: {
        described: ({ name }) => void told.push(name),
        released: (objectId) => void told.push(objectId),
      },
      events: { onDraining: ({ message }) => void told.push(message) },
    });
    const outcomes = new Outcomes([
      peer.call(bytes(), { onHeader: (headers) => void told.push(headers.toJSON()) }),
      ...[2, 3, 4].map(() => peer.call(bytes())),
      peer.connection.ping(),
    ]);
    await peer.sent();
    for (const chunk of chunks) peer.transport.deliver(chunk);
    const sent = await peer.sent();
    const { closeReason, incomingCount, idCount } = peer.connection;
    const errors = outcomes.errors.map((error) => error?.message);
    return {
      told,
      values: outcomes.values,
      errors,
      sent: sent.map(({ kind, flags, requestId, payload }) => [kind, flags, requestId, ...payload]),
      closed: closeReason?.message,
      counts: [incomingCount, idCount],
    };
  }

  test("is the same however it is cut, at every byte", async () => {
    const whole = (await outcome([stream])) as { readonly closed: unknown; readonly told: unknown };

    expect(whole.closed).toBeUndefined();
    expect(whole.told).toHaveLength(4);
    expect(await outcome(byteByByte(stream))).toEqual(whole);
    for (const cut of cutsInTwo(stream)) expect(await outcome(cut)).toEqual(whole);
  });

  test("may break off at every byte: every call and ping settles, and nothing is left", async () => {
    for (const [start] of cutsInTwo(stream)) {
      const peer = scripted({ handler: new KeepingHandler() });
      const calls = Array.from({ length: 5 }, () => peer.call(bytes(), { timeoutMs: 60_000 }));
      const outcomes = new Outcomes([...calls, peer.connection.ping()]);
      peer.transport.deliver(start);
      peer.transport.end();
      await settled();

      expect(outcomes.settledCount).toBe(6);
      const { closeReason, idCount, incomingCount, deadlineCount } = peer.connection;
      expect([closeReason?.code, idCount, incomingCount, deadlineCount]).toEqual([
        "unavailable",
        0,
        0,
        0,
      ]);
    }
  });

  test("with any one byte changed ends in order, or goes on in order", async () => {
    for (let at = 0; at < stream.byteLength; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const changed = stream.slice();
        changed[at] = (changed[at] as number) ^ flip;
        const peer = scripted({ handler: echo, references: { described() {}, released() {} } });
        const calls = Array.from({ length: 4 }, () => peer.call(bytes()));
        const outcomes = new Outcomes([...calls, peer.connection.ping()]);
        peer.transport.deliver(changed);
        peer.transport.end();
        await settled();

        expect(outcomes.settledCount).toBe(5);
        expect(["unavailable", "protocol_error"]).toContain(
          peer.connection.closeReason?.code as string,
        );
        const { idCount, incomingCount } = peer.connection;
        expect([idCount, incomingCount]).toEqual([0, 0]);
      }
    }
  });
});
