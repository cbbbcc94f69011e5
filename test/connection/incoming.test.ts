// Calls that the peer places.

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import type { IncomingCall } from "../../src/call/incoming-call.ts";
import { decodeError } from "../../src/frame/error-payload.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { Clock } from "../support/clock.ts";
import { scripted } from "../support/connections.ts";
import { joined } from "../support/cuts.ts";
import {
  cancelFrame,
  frame,
  request,
  response,
  split,
  type TestFrame,
  u32,
} from "../support/frames.ts";
import { bytes, bytesWriter, echo, KeepingHandler } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";

function kept(options: Parameters<typeof scripted>[0] = {}) {
  const handler = new KeepingHandler();
  const peer = scripted({ ...options, handler });
  const nth = (i: number): IncomingCall => (handler.calls[i] as KeepingHandler["calls"][0]).call;
  return { peer, handler, nth };
}

describe("a call of the peer", () => {
  test("is answered at once, and costs no entry, if the handler answers at once", async () => {
    const peer = scripted({ handler: echo });

    peer.deliver(request(9, [1, 2]));

    expect(await peer.sent()).toEqual([
      {
        kind: FrameKind.Response,
        flags: FrameFlag.FromCallee,
        methodId: 0,
        requestId: 9,
        payload: bytes(1, 2),
      },
    ]);
    expect(peer.connection.incomingCount).toBe(0);
  });

  test("is answered later, in any order", async () => {
    const { peer, nth } = kept();
    peer.deliver(joined(request(1), request(2), request(3)));

    for (const i of [2, 0, 1]) nth(i).respond(bytesWriter, bytes(i));

    const sent = await peer.sent();
    expect(sent.map(({ requestId, payload }) => [requestId, payload[0]])).toEqual([
      [3, 2],
      [1, 0],
      [2, 1],
    ]);
    expect(peer.connection.incomingCount).toBe(0);
  });

  test("is answered once: what the handler says later is dropped", async () => {
    const { peer, nth } = kept();
    peer.deliver(request(1));

    nth(0).respond(bytesWriter, bytes(1));
    nth(0).respond(bytesWriter, bytes(2));
    nth(0).fail(new Error("late"));

    expect(await peer.sent()).toHaveLength(1);
  });

  // Else a peer that asks and reads nothing would fill the memory with answers.
  test("is unimplemented where nothing is served, and the connection goes on", async () => {
    const peer = scripted();

    peer.deliver(request(1, [], 42));

    const [answer] = (await peer.sent()) as [TestFrame];
    expect(decodeError(answer.payload).message).toBe("[unimplemented] this side serves nothing");
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("is answered while others of the same chunk are still to be handled", () => {
    const answeredAt: number[] = [];
    let handledCount = 0;
    const peer = scripted({
      handler: {
        handle(call) {
          handledCount += 1;
          Bun.sleepSync(1);
          call.respond(bytesWriter, bytes(1));
        },
      },
    });
    peer.transport.onWrite = () => void answeredAt.push(handledCount);

    peer.deliver(joined(...Array.from({ length: 64 }, (_, i) => request(i + 1))));

    expect(answeredAt[0]).toBeLessThanOrEqual(16);
    expect(answeredAt.at(-1)).toBe(64);
  });

  test("brings its method id, and the whole message if it came in pieces", () => {
    const { peer, handler } = kept();
    const message = patternBytes(200_000);

    peer.deliver(request(1, [7], 42), ...split(FrameKind.Request, 2, message));

    expect(handler.calls.map(({ call }) => call.methodId)).toEqual([42, 0]);
    expect(Buffer.compare(handler.calls[1]?.request as Uint8Array, message)).toBe(0);
  });

  test("that came in pieces brings memory that is the handler's to keep", () => {
    const owned: boolean[] = [];
    const peer = scripted({ handler: { handle: (...args) => owned.push(args[4]) } });

    peer.deliver(request(1), ...split(FrameKind.Request, 2, patternBytes(200_000)));

    expect(owned).toEqual([false, true]);
  });
});

describe("a cancelled call of the peer", () => {
  test("aborts its signal, is answered with cancelled, and what the handler says is dropped", async () => {
    const { peer, nth } = kept();
    peer.deliver(request(1));
    const { signal } = nth(0);

    peer.deliver(cancelFrame(1));
    nth(0).respond(bytesWriter, bytes(1));

    const sent = await peer.sent();
    expect(signal.aborted).toBe(true);
    expect(sent.map(({ kind }) => kind)).toEqual([FrameKind.Error]);
    expect(decodeError((sent[0] as TestFrame).payload).code).toBe("cancelled");
    expect(peer.connection.incomingCount).toBe(0);
  });

  test("is left alone if it was answered: the two have crossed", async () => {
    const { peer, nth } = kept();
    peer.deliver(request(1));
    nth(0).respond(bytesWriter, bytes(1));
    await peer.sent();

    peer.deliver(cancelFrame(1), cancelFrame(77));

    expect(await peer.sent()).toEqual([]);
    expect(nth(0).signal.aborted).toBe(false);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("never reaches the handler if its request had not come in full", async () => {
    const { peer, handler } = kept();
    peer.deliver(split(FrameKind.Request, 1, patternBytes(200_000))[0] as Uint8Array);

    peer.deliver(cancelFrame(1));

    expect((await peer.sent()).map(({ kind }) => kind)).toEqual([FrameKind.Error]);
    expect(handler.calls).toEqual([]);
    expect(peer.connection.incomingCount).toBe(0);
  });

  test.each([
    ["has not begun", 0],
    ["has begun", 1],
  ])("gets no more of an answer in pieces that %s", async (_, pieceCount) => {
    const { peer, nth } = kept();
    peer.deliver(request(1));
    peer.transport.isCongested = pieceCount === 0;
    peer.transport.onWrite = () => (peer.transport.isCongested = true);
    nth(0).respond(bytesWriter, patternBytes(500_000));
    const before = await peer.sent();

    peer.deliver(cancelFrame(1));
    peer.transport.onWrite = undefined;
    peer.transport.drained();

    expect(before).toHaveLength(pieceCount);
    expect((await peer.sent()).map(({ kind }) => kind)).toEqual([FrameKind.Error]);
  });
});

describe("the deadline of a call of the peer", () => {
  test("is there for the handler, and aborts its signal", async () => {
    using clock = new Clock();
    const { peer, nth } = kept();
    peer.deliver(frame({ requestId: 1, flags: FrameFlag.Deadline, payload: [...u32(50), 7] }));
    const before = [nth(0).timeoutMs, nth(0).signal.aborted];

    clock.advance(51);

    expect(before).toEqual([50, false]);
    expect([nth(0).timeoutMs, nth(0).signal.aborted]).toEqual([0, true]);
    expect((nth(0).signal.reason as PlugError).code).toBe("deadline_exceeded");
    // The caller has the last word on its own clock.
    expect(await peer.sent()).toEqual([]);
  });

  test("comes before the message", () => {
    const { peer, handler } = kept();

    peer.deliver(frame({ requestId: 1, flags: FrameFlag.Deadline, payload: [...u32(50_000), 7] }));

    expect(handler.calls.map(({ request }) => request)).toEqual([bytes(7)]);
  });

  test("is forgotten when the call is answered", () => {
    const { peer, nth } = kept();
    peer.deliver(frame({ requestId: 1, flags: FrameFlag.Deadline, payload: u32(50_000) }));
    const before = peer.connection.deadlineCount;

    nth(0).respond(bytesWriter, bytes());

    expect([before, peer.connection.deadlineCount]).toEqual([1, 0]);
  });

  test("may be as far off as 2^32 - 1 ms", () => {
    using clock = new Clock();
    const { peer, nth } = kept();

    peer.deliver(frame({ requestId: 1, flags: FrameFlag.Deadline, payload: u32(0xffff_ffff) }));
    clock.advance(1_000);

    expect(nth(0).signal.aborted).toBe(false);
    // Longer delays than 2^31 - 1 ms fire at once, a thousand times a second.
    expect(Math.max(...clock.delaysMs)).toBeLessThanOrEqual(2 ** 31 - 1);
  });
});

// What a peer must not send. The text names the frame, so that a bug report says what was wrong.
describe("the connection ends with protocol_error for", () => {
  const { Request, Response, Error: ErrorKind, Continue, Message } = FrameKind;
  const { More, FromCallee, Deadline } = FrameFlag;
  const half = split(Request, 5, patternBytes(200_000))[0] as Uint8Array;
  const cases: readonly [string, Uint8Array[], string][] = [
    ["a request of id 0", [request(0)], "request has id 0"],
    ["a request id that is in use", [request(5), request(5)], "request id 5 is in use already"],
    ["a request id of which the rest has not come", [half, request(5)], "id 5 is in use already"],
    [
      "a request without its deadline",
      [frame({ flags: Deadline, payload: [1, 2, 3] })],
      "request 1 lacks its deadline",
    ],
    [
      "a split request without its length",
      [frame({ flags: More, payload: [1, 2, 3] })],
      "a split message lacks its length",
    ],
    [
      "a split request without its deadline",
      [frame({ flags: More | Deadline, payload: [...u32(100), 1, 2, 3] })],
      "request 1 lacks its deadline",
    ],
    [
      "a piece of a request that is not there",
      [frame({ kind: Continue, requestId: 6 })],
      "continue frame for request id 6 is out of place",
    ],
    [
      "a piece of a request that was cancelled",
      [half, cancelFrame(5), frame({ kind: Continue, requestId: 5 })],
      "continue frame for request id 5 is out of place",
    ],
    [
      "a request with more than it announced",
      [
        half,
        ...[1, 2, 3].map(() =>
          frame({ kind: Continue, flags: More, requestId: 5, payload: patternBytes(65_536) }),
        ),
      ],
      "announced as 200000 bytes has at least",
    ],
    [
      "a request with less than it announced",
      [half, frame({ kind: Continue, requestId: 5, payload: [1] })],
      "announced as 200000 bytes ended with",
    ],
    ["an answer to a call that is not in flight", [response(9)], "answer to request id 9"],
    ["an answer to request id 0", [response(0)], "answer to request id 0"],
    [
      "an error for a call that is not in flight",
      [frame({ kind: ErrorKind, flags: FromCallee, requestId: 9 })],
      "answer to request id 9",
    ],
    [
      "a piece of an answer that has not begun",
      [frame({ kind: Continue, flags: FromCallee, requestId: 1 })],
      "continue frame for request id 1 is out of place",
    ],
    [
      "a second answer while the first one is coming",
      [split(Response, 1, patternBytes(200_000))[0] as Uint8Array, response(1)],
      "response frame for request id 1 is out of place",
    ],
    [
      "an answer to a request that was not sent in full",
      [response(2)],
      "response frame for request id 2 is out of place",
    ],
    [
      "a split answer without its length",
      [frame({ kind: Response, flags: FromCallee | More, requestId: 1, payload: [1] })],
      "a split message lacks its length",
    ],
    ["a frame of a kind that is not known", [frame({ kind: 99 })], "frame kind 99 is unknown"],
    ["a frame with flags that it may not have", [frame({ flags: 0x02 })], "has flags 0x2, which"],
    [
      "a frame of more than 64 KiB",
      [frame({ kind: Message, payloadBytes: 65_537 })],
      "message frame announces a payload of 65537 bytes",
    ],
  ];
  test.each(cases)("%s", async (_, frames, text) => {
    const { peer, nth, handler } = kept();
    peer.transport.onWrite = () => (peer.transport.isCongested = true);
    // 1 is in flight; 2 is being sent in pieces.
    const results = [peer.call(bytes()), peer.call(patternBytes(500_000))];
    await peer.sent();

    peer.deliver(...frames);

    const outcomes = await Promise.allSettled(results);
    const reason = peer.connection.closeReason;
    expect(reason?.code).toBe("protocol_error");
    expect(reason?.message).toContain(text);
    expect(outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason)).toEqual([
      reason,
      reason,
    ]);
    const signals = handler.calls.map((_, i) => nth(i).signal);
    expect(signals.filter(({ aborted }) => !aborted)).toEqual([]);
    expect(peer.transport.closeCount).toBe(1);
    expect([peer.connection.inFlightCount, peer.connection.incomingCount]).toEqual([0, 0]);
  });

  // Two answers with one id would be taken for each other.
  test("a request id whose answer is still being sent", () => {
    const { peer, nth } = kept();
    peer.transport.isCongested = true;
    peer.deliver(request(1));
    nth(0).respond(bytesWriter, patternBytes(200_000));

    peer.deliver(request(1));

    expect(peer.connection.closeReason?.message).toContain("request id 1 is in use already");
  });
});

test("frames that may be ignored are ignored", async () => {
  const peer = scripted({ handler: echo });

  peer.deliver(frame({ kind: 99, flags: FrameFlag.Ignorable, payload: [1] }), request(1, [2]));

  expect((await peer.sent()).map(({ payload }) => payload)).toEqual([bytes(2)]);
});

test("whatever a handler throws is an answer, and the connection goes on", async () => {
  const { peer, nth } = kept();
  const values = [
    Object.create(null),
    Symbol("x"),
    Object.assign(new Error(), { message: undefined }),
    new Error("last"),
  ];
  peer.deliver(...values.map((_, i) => request(i + 1)));

  values.forEach((value, i) => nth(i).fail(value));

  const sent = await peer.sent();
  expect(sent.map(({ kind, requestId }) => [kind, requestId])).toEqual(
    values.map((_, i) => [FrameKind.Error, i + 1]),
  );
  expect(decodeError((sent[3] as TestFrame).payload).rawMessage).toBe("last");
});

test("a call that is deferred twice, as it waits and as it runs, has one deadline", async () => {
  using clock = new Clock();
  const { peer, nth } = kept();
  const deadline = frame({ flags: FrameFlag.Deadline, payload: u32(50) });
  peer.deliver(deadline);
  nth(0).defer();
  const { deadlineCount } = peer.connection;

  clock.advance(60);

  expect(deadlineCount).toBe(1);
  expect(nth(0).signal.aborted).toBe(true);
  expect(peer.connection.deadlineCount).toBe(0);
});
