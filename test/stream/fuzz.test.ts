// A peer that sends anything while streams are in flight: it ends the connection, and nothing else.

import { describe, expect, test } from "bun:test";

import { isPlugError } from "bun-plug";
import fc from "fast-check";
import type { CallHandler, IncomingCall } from "../../src/call/incoming-call.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { emptyWriter } from "../../src/stream/payload.ts";
import { pump } from "../../src/stream/pump.ts";
import { scripted } from "../support/connections.ts";
import { joined, randomCuts } from "../support/cuts.ts";
import { settled } from "../support/fake-transport.ts";
import {
  cancelFrame,
  creditFrame,
  endFrame,
  errorFrame,
  frame,
  messageFrame,
  request,
  response,
  split,
  u32,
} from "../support/frames.ts";
import { bytes, bytesReader, bytesWriter, Outcomes, route } from "../support/payloads.ts";
import { patternBytes, type Random, seeded } from "../support/random.ts";

const { ClientStreams, ServerStreams, FromCallee, Deadline, Ignorable, Nested } = FrameFlag;
const bothWays = ClientStreams | ServerStreams;
// Metadata: a: b
const ab = Uint8Array.of(0x0a, 6, 0x0a, 1, 0x61, 0x12, 1, 0x62);

// Calls of the connection: two of each kind. Calls of its peer have ids from 20 on.
const placed = [
  0,
  ServerStreams,
  ClientStreams,
  bothWays,
  0,
  ServerStreams,
  ClientStreams,
  bothWays,
];
const limits = {
  maxMessageBytes: 4096,
  maxInFlightCalls: 20,
  streamWindowBytes: 1024,
  connectionWindowBytes: 2048,
};

/** Sends a few messages where it may, reads some of what comes, and answers some calls. */
class RestlessHandler implements CallHandler {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  handle(call: IncomingCall): void {
    if ((call.streamFlags & ClientStreams) !== 0) void this.#read(call);
    call.defer();
    if (this.#random(3) === 0) call.responseHeaders.set("c", "d");
    if (this.#random(3) === 0) call.responseTrailers.set("e", "f");
    if (call.sender !== undefined) void this.#send(call);
    else if (this.#random(2) === 0) call.respond(bytesWriter, bytes(1));
  }

  async #read(call: IncomingCall): Promise<void> {
    let left = this.#random(6);
    try {
      for await (const _ of call.messages(bytesReader)) if (left-- === 0) break;
      call.respond(bytesWriter, bytes(2));
    } catch (error) {
      call.fail(error);
    }
  }

  async #send(call: IncomingCall): Promise<void> {
    const { sender } = call;
    if (sender === undefined) return;
    const sizes = Array.from({ length: this.#random(9) }, () => this.#random(900));
    await pump(sizes, sender, (size) => sender.send(bytesWriter, patternBytes(size)));
    call.respond(emptyWriter, undefined);
  }
}

/** Feeds a connection with calls both ways in flight, ends it, and looks what became of it. */
async function feed(stream: Uint8Array, maxChunkBytes: number, seed: number): Promise<void> {
  const random = seeded(seed);
  const peer = scripted({ limits, peerLimits: limits, handler: new RestlessHandler(random) });
  const { signal } = new AbortController();
  const settling: Promise<unknown>[] = [];
  for (const [i, flags] of placed.entries()) {
    const { sender, receiver, response } = peer.connection.openStream(
      route,
      flags,
      (flags & ClientStreams) === 0 ? bytesWriter : emptyWriter,
      bytes(i),
      bytesReader,
      bytesReader,
      i % 2 === 0 ? { signal, timeoutMs: 60_000 } : undefined,
    );
    settling.push(response);
    if (receiver !== undefined) settling.push(drain(receiver, random(8)));
    if (sender !== undefined) {
      const sizes = Array.from({ length: random(9) }, () => random(900));
      const send = (size: number): void => sender.send(bytesWriter, patternBytes(size));
      settling.push(pump(sizes, sender, send).then(() => sender.end()));
    }
  }
  const outcomes = new Outcomes(settling);
  await settled();

  for (const chunk of randomCuts(stream, random, maxChunkBytes)) {
    peer.transport.deliver(chunk);
    if (random(8) === 0) await settled();
  }
  peer.transport.end();
  await settled();
  await settled();

  expect(outcomes.settledCount).toBe(settling.length);
  expect(outcomes.errors.filter((error) => error !== undefined && !isPlugError(error))).toEqual([]);
  expect(["unavailable", "protocol_error"]).toContain(peer.connection.closeReason?.code as string);
  expect(peer.transport.closeCount).toBe(1);
  const { inFlightCount, idCount, incomingCount, deadlineCount, outstandingBytes } =
    peer.connection;
  expect({ inFlightCount, idCount, incomingCount, deadlineCount, ...outstandingBytes }).toEqual({
    inFlightCount: 0,
    idCount: 0,
    incomingCount: 0,
    deadlineCount: 0,
    sent: 0,
    received: 0,
  });
}

/** Reads so many messages and leaves, or all of them if they end before. */
async function drain(messages: AsyncIterable<unknown>, count: number): Promise<void> {
  let left = count;
  for await (const _ of messages) if (left-- === 0) return;
}

// Frames that a peer may send while the calls above are in flight, in an order that may be wrong.
// Most are in place, so that a stream of them gets somewhere.
const likelyFrames = fc.tuple(fc.integer(), fc.nat(40)).map(([seed, count]) => {
  const random = seeded(seed);
  const receiving = (): number => [2, 4, 6, 8][random(4)] as number;
  const sending = (): number => [3, 4, 7, 8][random(4)] as number;
  let nextId = 20;
  const open: number[] = [];
  const opened = (): number => open[random(Math.max(1, open.length))] ?? 20;
  const makers: readonly (() => Uint8Array)[] = [
    () => messageFrame(FromCallee, receiving(), patternBytes(random(300))),
    () => messageFrame(FromCallee, receiving(), patternBytes(random(300))),
    () => creditFrame(FromCallee, sending(), random(40)),
    () => joined(...split(FrameKind.Message, receiving(), patternBytes(2_000), 700, FromCallee)),
    () => response(1 + random(8), patternBytes(random(300))),
    () => errorFrame(1 + random(8), "not_found", "x"),
    () => {
      const flags = [0, ClientStreams, ServerStreams, bothWays][random(4)] as number;
      open.push(nextId);
      return frame({ flags, requestId: nextId++ });
    },
    () => {
      open.push(nextId);
      return frame({
        flags: ClientStreams | Deadline,
        requestId: nextId++,
        payload: u32(random(9)),
      });
    },
    () => messageFrame(0, opened(), patternBytes(random(300))),
    () => joined(...split(FrameKind.Message, opened(), patternBytes(2_000), 700)),
    () => split(FrameKind.Message, opened(), patternBytes(2_000), 700)[random(3)] as Uint8Array,
    () => endFrame(opened()),
    () => creditFrame(0, opened(), random(40)),
    () => cancelFrame(opened()),
    () => request(300 + random(9), patternBytes(random(50))),
    () => frame({ kind: 77, flags: Ignorable, payload: patternBytes(random(20)) }),
    () =>
      frame({ kind: FrameKind.Headers, flags: FromCallee, requestId: 1 + random(8), payload: ab }),
    () =>
      frame({
        kind: FrameKind.Response,
        flags: FromCallee | FrameFlag.Metadata,
        requestId: 1 + random(8),
        payload: joined(u32(ab.byteLength), ab),
      }),
    () => {
      const streamFlags = [0, ClientStreams, ServerStreams, bothWays][random(4)] as number;
      open.push(nextId);
      return frame({
        flags: Nested | streamFlags | FrameFlag.Metadata,
        requestId: nextId++,
        methodId: 0x8000,
        payload: joined(u32(1 + random(9)), u32(ab.byteLength), ab),
      });
    },
    () => frame({ kind: FrameKind.Ping, requestId: random(9) }),
    // Once in a while: nothing new is sent after it.
    () => frame({ kind: random(6) === 0 ? FrameKind.GoAway : FrameKind.Service, requestId: 0 }),
  ];
  return Array.from({ length: count }, () => makers[random(makers.length)]?.() as Uint8Array);
});

const mutation = fc.record({ at: fc.nat(), byte: fc.nat(255), isInHeader: fc.boolean() });
const mutatedStreams = fc
  .tuple(likelyFrames, fc.array(mutation, { maxLength: 3 }))
  .map(([frames, mutations]) => {
    const copies = frames.map((each) => each.slice());
    for (const { at, byte, isInHeader } of mutations) {
      const target = copies[at % Math.max(1, copies.length)];
      if (target === undefined) continue;
      target[(at >>> 8) % (isInHeader ? 12 : target.byteLength)] = byte;
    }
    return joined(...copies);
  });

describe("a connection with streams in flight whose peer sends", () => {
  const chunkBytes = fc.integer({ min: 1, max: 900 });
  const cases: readonly [string, fc.Arbitrary<Uint8Array>, number][] = [
    ["any bytes", fc.uint8Array({ maxLength: 300 }), 400],
    ["frames in any order", likelyFrames.map((frames) => joined(...frames)), 700],
    ["frames in any order, with a few bytes changed,", mutatedStreams, 700],
  ];
  test.each(cases)(
    "%s ends with a PlugError, and every stream settles",
    async (_, stream, numRuns) => {
      await fc.assert(fc.asyncProperty(stream, chunkBytes, fc.integer(), feed), {
        numRuns,
        seed: 23,
      });
    },
    30_000,
  );
});
