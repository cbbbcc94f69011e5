// maxMessageBytes and maxInFlightCalls, held by either side.

import { describe, expect, test } from "bun:test";

import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { decodeError } from "../../src/frame/error-payload.ts";
import { call, pair, scripted } from "../support/connections.ts";
import {
  frame,
  maxFramePayloadBytes,
  request,
  response,
  split,
  type TestFrame,
  u32,
} from "../support/frames.ts";
import { bytes, bytesWriter, echo, KeepingHandler } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";

// Below a frame, exactly a frame, and of many frames.
const limitsBytes = [1024, 64 * 1024, 1024 * 1024];

describe.each(limitsBytes)("maxMessageBytes %d", (maxMessageBytes) => {
  const limits = { maxMessageBytes };
  const exact = patternBytes(maxMessageBytes);
  const tooLong = patternBytes(maxMessageBytes + 1);
  const text = `has ${maxMessageBytes + 1} bytes, more than maxMessageBytes ${maxMessageBytes}`;

  test("lets a message of exactly that many bytes through, each way", async () => {
    const { host } = pair({ handler: echo, limits });

    const answer = await call(host, exact);

    expect(Buffer.compare(answer, exact)).toBe(0);
  });

  test.each([
    ["its own", { limits, peerLimits: {} }],
    ["the peer's", { limits: { maxMessageBytes: 2 ** 30 }, peerLimits: limits }],
  ])("refuses a request of one byte more by %s limit, and writes nothing", async (_, both) => {
    const peer = scripted(both);

    const error = await rejection(peer.call(tooLong));

    expect(error.message).toBe(`[resource_exhausted] request of test.Echo.Echo ${text}`);
    expect(await peer.sent()).toEqual([]);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test.each([
    ["its own", { limits, peerLimits: {} }],
    ["the peer's", { limits: { maxMessageBytes: 2 ** 30 }, peerLimits: limits }],
  ])("refuses a response of one byte more by %s limit, and answers so", async (_, both) => {
    const handler = new KeepingHandler();
    const peer = scripted({ ...both, handler });
    peer.deliver(request(7));
    const { call } = handler.calls[0] as KeepingHandler["calls"][0];
    call.service = "test.Echo";
    call.method = "Echo";

    call.respond(bytesWriter, tooLong);

    const sent = await peer.sent();
    expect(sent.map(({ kind, requestId }) => [kind, requestId])).toEqual([[FrameKind.Error, 7]]);
    expect(decodeError((sent[0] as TestFrame).payload).message).toBe(
      `[resource_exhausted] response of test.Echo.Echo ${text}`,
    );
    expect(peer.connection.incomingCount).toBe(0);
  });

  test("answers a request of one byte more that a peer sends all the same, and goes on", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits, handler });

    peer.deliver(...frames(FrameKind.Request, 1, tooLong), ...frames(FrameKind.Request, 2, exact));

    const sent = await peer.sent();
    expect(sent.map(({ kind, requestId }) => [kind, requestId])).toEqual([[FrameKind.Error, 1]]);
    expect(decodeError((sent[0] as TestFrame).payload).message).toBe(
      `[resource_exhausted] request ${text}`,
    );
    expect(handler.calls.map(({ request }) => Buffer.compare(request, exact))).toEqual([0]);
  });

  test("rejects a call whose answer has one byte more all the same, and goes on", async () => {
    const peer = scripted({ limits });
    const [first, second] = [peer.call(bytes(1)), peer.call(bytes(2))];

    peer.deliver(
      ...frames(FrameKind.Response, 1, tooLong),
      ...frames(FrameKind.Response, 2, exact),
    );

    expect((await rejection(first)).message).toBe(
      `[resource_exhausted] response of test.Echo.Echo ${text}`,
    );
    expect(Buffer.compare(await second, exact)).toBe(0);
    expect(peer.connection.inFlightCount).toBe(0);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  function frames(
    kind: typeof FrameKind.Request | typeof FrameKind.Response,
    id: number,
    message: Uint8Array,
  ): Uint8Array[] {
    if (message.byteLength > maxFramePayloadBytes) return split(kind, id, message);
    return [kind === FrameKind.Request ? request(id, message) : response(id, message)];
  }
});

describe("a message that is announced as too large", () => {
  const limits = { maxMessageBytes: 100_000 };

  test("is refused by its first frame, before the rest has come", async () => {
    const peer = scripted({ limits, handler: new KeepingHandler() });

    peer.deliver(split(FrameKind.Request, 1, patternBytes(100_001))[0] as Uint8Array);

    expect((await peer.sent()).map(({ kind }) => kind)).toEqual([FrameKind.Error]);
  });

  test("is refused with a length of 4 GiB, and nothing is taken for it", async () => {
    const peer = scripted({ limits });
    const result = peer.call(bytes());

    peer.deliver(
      frame({
        kind: FrameKind.Response,
        flags: FrameFlag.FromCallee | FrameFlag.More,
        requestId: 1,
        payload: u32(0xffff_ffff),
      }),
    );

    expect((await rejection(result)).message).toContain("has 4294967295 bytes");
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("takes the caller's cancel for the end of it", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits, handler });
    peer.deliver(split(FrameKind.Request, 1, patternBytes(200_000))[0] as Uint8Array);

    peer.deliver(frame({ kind: FrameKind.Cancel, requestId: 1 }), request(2));

    expect((await peer.sent()).map(({ kind, requestId }) => [kind, requestId])).toEqual([
      [FrameKind.Error, 1],
    ]);
    expect(handler.calls.map(({ call }) => call.id)).toEqual([2]);
    expect(peer.connection.incomingCount).toBe(1);
  });
});

describe("maxInFlightCalls of the callee", () => {
  test("is held against a peer that goes over it: the connection ends with protocol_error", () => {
    const peer = scripted({ limits: { maxInFlightCalls: 3 }, handler: new KeepingHandler() });
    peer.deliver(request(1), request(2), request(3));
    const before = peer.connection.closeReason;

    peer.deliver(request(4));

    expect(before).toBeUndefined();
    expect(peer.connection.closeReason?.message).toBe(
      "[protocol_error] request 4 is one more than maxInFlightCalls 3",
    );
  });

  test("counts requests of which the rest has not come", () => {
    const peer = scripted({ limits: { maxInFlightCalls: 2 }, handler: new KeepingHandler() });
    const [first] = split(FrameKind.Request, 1, patternBytes(200_000));

    peer.deliver(first as Uint8Array, request(2), request(3));

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
  });

  test("does not count calls that are answered", () => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits: { maxInFlightCalls: 1 }, handler });

    for (let id = 1; id <= 100; id++) {
      peer.deliver(request(id));
      handler.calls.at(-1)?.call.respond(bytesWriter, bytes());
    }

    expect(peer.connection.closeReason).toBeUndefined();
    expect(handler.calls).toHaveLength(100);
  });

  test("ends a peer that asks on and leaves more of answers unread than 16 of the longest messages", () => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits: { maxMessageBytes: 1024 }, handler });
    peer.transport.isCongested = true;
    peer.transport.unsentBytes = 1_000_000; // what it has written is far from being read

    let askedCount = 0;
    while (peer.connection.closeReason === undefined && askedCount < 100) {
      askedCount += 1;
      peer.deliver(request(askedCount));
      handler.calls.at(-1)?.call.respond(bytesWriter, patternBytes(1000));
    }

    // 16 times the longest message, in answers of 1,012 bytes.
    expect(askedCount).toBe(18);
    expect(peer.connection.closeReason?.message).toContain(
      "leaves 17204 bytes of answers unread, more than 16384",
    );
  });

  // A peer that asks for large answers and reads none of them must not take memory without end.
  test("counts calls whose answer has not been sent in full", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits: { maxInFlightCalls: 10 }, handler });
    peer.transport.isCongested = true;
    const answer = patternBytes(100_000);

    for (let id = 1; id <= 100; id++) {
      peer.deliver(request(id));
      handler.calls.at(-1)?.call.respond(bytesWriter, answer);
    }

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
    expect(handler.calls.length).toBeLessThanOrEqual(10);
  });
});

test("a call and its answer pass the two limits of two different sides", async () => {
  const { host, plugin } = pair({
    handler: echo,
    limits: { maxMessageBytes: 2_000 },
    pluginLimits: { maxMessageBytes: 1_500 },
  });

  const error = await rejection(call(host, patternBytes(1_501)));
  const answer = await call(host, patternBytes(1_500));

  expect(error.message).toContain("maxMessageBytes 1500");
  expect(answer.byteLength).toBe(1_500);
  expect([host.closeReason, plugin.closeReason]).toEqual([undefined, undefined]);
});

describe("messages that have come in part", () => {
  test("take 16 times maxMessageBytes together; the one that goes beyond it is refused", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits: { maxMessageBytes: 100_000 }, handler });
    const first = (id: number): Uint8Array =>
      split(FrameKind.Request, id, patternBytes(80_000))[0] as Uint8Array;

    // 65,532 bytes of each: 24 are below 1,600,000, and the 25th is not.
    for (let id = 1; id <= 25; id++) peer.deliver(first(id));
    const answers = await peer.sent();

    expect(answers.map(({ kind, requestId }) => [kind, requestId])).toEqual([
      [FrameKind.Error, 25],
    ]);
    expect(decodeError(answers[0]?.payload as Uint8Array).message).toContain(
      "more than 1600000, which is 16 times maxMessageBytes",
    );
    expect(peer.connection.closeReason).toBeUndefined();
  });
});
