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

  test("ends a peer that asks on and leaves more answers unread than it may have in flight", () => {
    const handler = new KeepingHandler();
    const few = {
      maxInFlightCalls: 2,
      maxInFlightStreams: 1,
      maxNestedCalls: 1,
      connectionWindowBytes: 1024,
    };
    const peer = scripted({ limits: few, peerLimits: few, handler });
    peer.transport.isCongested = true;

    // Headers and an answer for each of 4 calls, 4 own requests, a message beyond the window of
    // each of 2 streams, the window, and what the transport holds before bulk data waits.
    const most = (8 + 4 + 2) * (12 + 65_536) + 1024 + 1024 * 1024;
    peer.transport.unsentBytes = most;
    peer.deliver(request(1));
    expect(peer.connection.closeReason).toBeUndefined();

    peer.transport.unsentBytes += 1;
    peer.deliver(request(2));
    expect(peer.connection.closeReason?.message).toContain(`${most + 1} bytes of answers unread`);
  });

  const small = { maxInFlightCalls: 1, maxInFlightStreams: 1, maxNestedCalls: 1 };
  // What has been sent is as much as is right for a peer that reads slowly.
  test.each([
    ["pieces of a long answer", 256 * 1024 + 65_548],
    ["messages of streams, as many as its window takes", 16 * 1024 * 1024],
  ])("is not gone over by a peer that asks on while it has not read %s", (_, unsentBytes) => {
    const peer = scripted({ limits: small, peerLimits: small, handler: new KeepingHandler() });
    peer.transport.isCongested = true;
    peer.transport.unsentBytes = unsentBytes;

    peer.deliver(
      request(1),
      frame({ flags: FrameFlag.ServerStreams, requestId: 2 }),
      frame({ flags: FrameFlag.Nested, requestId: 3 }),
      frame({ kind: FrameKind.Ping }),
    );

    expect(peer.connection.closeReason).toBeUndefined();
    expect(peer.connection.incomingCount).toBe(3);
  });

  test("is not gone over by a slow peer while a long request to it is on its way", async () => {
    const { host, plugin } = pair({ handler: echo, hostHandler: echo, limits: small });
    const requests = [patternBytes(900_000), patternBytes(900_000, 1)];

    // Each has the other's request before its own has gone out.
    const answers = await Promise.all([
      call(host, requests[0] as Uint8Array),
      call(plugin, requests[1] as Uint8Array),
      host.ping(),
      plugin.ping(),
    ]);

    expect(answers.slice(0, 2)).toEqual(requests);
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
