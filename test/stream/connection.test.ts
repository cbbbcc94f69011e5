// Streams of a connection whose peer does what the test says, right or wrong.

import { describe, expect, test } from "bun:test";

import type { CallHandler, IncomingCall } from "../../src/call/incoming-call.ts";
import type { CallTerms } from "../../src/call/outgoing-call.ts";
import type { Connection } from "../../src/connection/connection.ts";
import { decodeError } from "../../src/frame/error-payload.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { Dispatcher } from "../../src/rpc/dispatcher.ts";
import type { MessageReceiver } from "../../src/stream/message-receiver.ts";
import type { MessageSender } from "../../src/stream/message-sender.ts";
import { emptyWriter } from "../../src/stream/payload.ts";
import { Clock } from "../support/clock.ts";
import { pair, scripted, type TestConnectionOptions } from "../support/connections.ts";
import { joined } from "../support/cuts.ts";
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
  type TestFrame,
  u32,
} from "../support/frames.ts";
import { bytes, bytesReader, bytesWriter, route } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";
import { textService } from "../support/text-service.ts";

const { ClientStreams, ServerStreams, FromCallee, More } = FrameFlag;
const bothWays = ClientStreams | ServerStreams;
const windowBytes = 1024;
const limits = {
  maxMessageBytes: 100_000,
  streamWindowBytes: windowBytes,
  connectionWindowBytes: windowBytes,
};

function open(connection: Connection, streamFlags: number, terms?: CallTerms) {
  const isClientStream = (streamFlags & ClientStreams) !== 0;
  const stream = connection.openStream(
    route,
    streamFlags,
    isClientStream ? emptyWriter : bytesWriter,
    isClientStream ? (undefined as never) : bytes(1),
    bytesReader,
    bytesReader,
    terms,
  );
  return {
    ...stream,
    sender: stream.sender as MessageSender,
    receiver: stream.receiver as MessageReceiver<Uint8Array>,
  };
}

/** A connection that has placed call 1 of this kind, and call 2, with a peer that is the test. */
async function calling(first: number, second?: number, options: TestConnectionOptions = {}) {
  const peer = scripted({ limits, peerLimits: limits, ...options });
  const flags = second === undefined ? [first] : [first, second];
  const [stream, other] = flags.map((each) => open(peer.connection, each)) as [
    ReturnType<typeof open>,
    ReturnType<typeof open>,
  ];
  await peer.sent();
  return { peer, stream, other };
}

/** A handler that keeps streams for the test. */
class KeepingStreams implements CallHandler {
  readonly calls: IncomingCall[] = [];
  readonly receivers: MessageReceiver<Uint8Array>[] = [];

  handle(call: IncomingCall): void {
    this.calls.push(call);
    if ((call.streamFlags & ClientStreams) !== 0) this.receivers.push(call.messages(bytesReader));
    call.defer();
  }
}

/** A connection whose peer has placed a call with id 1, of this kind. */
async function called(streamFlags: number, options: TestConnectionOptions = {}) {
  const handler = new KeepingStreams();
  const peer = scripted({ limits, peerLimits: limits, handler, ...options });
  peer.deliver(frame({ kind: FrameKind.Request, flags: streamFlags }));
  await peer.sent();
  const [call] = handler.calls as [IncomingCall];
  const [receiver] = handler.receivers as [MessageReceiver<Uint8Array>];
  return { peer, handler, call, receiver, sender: call.sender as MessageSender };
}

function toCaller(payload: Uint8Array | readonly number[] = [], id = 1): Uint8Array {
  return messageFrame(FromCallee, id, payload);
}

function toCallee(payload: Uint8Array | readonly number[] = [], id = 1): Uint8Array {
  return messageFrame(0, id, payload);
}

function kinds(frames: readonly TestFrame[]): number[] {
  return frames.map(({ kind }) => kind);
}

function errorsIn(frames: readonly TestFrame[]): string[] {
  return frames
    .filter(({ kind }) => kind === FrameKind.Error)
    .map(({ requestId, payload }) => `${requestId} ${decodeError(payload).code}`);
}

function expectNothingLeft(connection: Connection): void {
  const { inFlightCount, incomingCount, deadlineCount, outstandingBytes } = connection;
  expect({ inFlightCount, incomingCount, deadlineCount, outstandingBytes }).toEqual({
    inFlightCount: 0,
    incomingCount: 0,
    deadlineCount: 0,
    outstandingBytes: { sent: 0, received: 0 },
  });
}

const full = patternBytes(windowBytes);
const pieces = split(FrameKind.Message, 1, patternBytes(300), 100, FromCallee);
const piecesToCallee = split(FrameKind.Message, 1, patternBytes(300), 100);

describe("a callee breaks the protocol with", () => {
  const cases: readonly [string, number, number, readonly Uint8Array[], string][] = [
    ["a message of a call that is not there", ServerStreams, 0, [toCaller([], 9)], "request id 9"],
    ["a message of a unary call", 0, 0, [toCaller()], "message frame for request id 1"],
    ["a message of a client stream", ClientStreams, 0, [toCaller()], "message frame for"],
    [
      "a message without the stream's credit",
      ServerStreams,
      0,
      [toCaller(full), toCaller()],
      "a message for request id 1 came without credit",
    ],
    [
      "a message without the connection's credit",
      ServerStreams,
      ServerStreams,
      [toCaller([1]), toCaller(full, 2), toCaller()],
      "a message for request id 1 came without credit",
    ],
    [
      "a message in the middle of another one",
      ServerStreams,
      0,
      [pieces[0] as Uint8Array, toCaller()],
      "message frame for request id 1 is out of place",
    ],
    [
      "a response in the middle of a message",
      ServerStreams,
      0,
      [pieces[0] as Uint8Array, response(1)],
      "response frame for request id 1 is out of place",
    ],
    [
      "a piece of no message",
      ServerStreams,
      0,
      [pieces[1] as Uint8Array],
      "continue frame for request id 1 is out of place",
    ],
    [
      "a piece too many",
      ServerStreams,
      0,
      [...pieces, pieces.at(-1) as Uint8Array],
      "continue frame for request id 1 is out of place",
    ],
    [
      "more bytes than it has announced",
      ServerStreams,
      0,
      [
        pieces[0] as Uint8Array,
        ...pieces.slice(1, 2),
        ...pieces.slice(1, 2),
        ...pieces.slice(1, 3),
      ],
      "a message announced as 300 bytes",
    ],
    [
      "a split message without its length",
      ServerStreams,
      0,
      [frame({ kind: FrameKind.Message, flags: FromCallee | More, payload: [1] })],
      "a split message lacks its length",
    ],
    ["a message after its answer", ServerStreams, 0, [response(1), toCaller()], "not in flight"],
    ["an end", ServerStreams, 0, [endFrame(1)], "end frame for request id 1 is out of place"],
    [
      "credit for a stream that it sends itself",
      ServerStreams,
      0,
      [creditFrame(FromCallee, 1, 1)],
      "credit frame for request id 1 is out of place",
    ],
    [
      "credit for a unary call",
      0,
      0,
      [creditFrame(FromCallee, 1, 1)],
      "credit frame for request id 1 is out of place",
    ],
    [
      "credit for what was not sent",
      ClientStreams,
      0,
      [creditFrame(FromCallee, 1, 1)],
      "credit of 1 bytes for request id 1, which has 0 outstanding",
    ],
    [
      "credit of three bytes' length",
      ClientStreams,
      0,
      [frame({ kind: FrameKind.Credit, flags: FromCallee, payload: [1, 2, 3] })],
      "credit frame has 3 bytes instead of 4",
    ],
  ];
  test.each(cases)("%s", async (_, first, second, frames, text) => {
    const { peer, stream, other } = await calling(first, second);

    peer.deliver(...frames);

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
    expect(peer.connection.closeReason?.message).toContain(text);
    await Promise.allSettled([stream.response, other.response]);
    expectNothingLeft(peer.connection);
  });
});

describe("a caller breaks the protocol with", () => {
  const cases: readonly [string, number, readonly Uint8Array[], string][] = [
    ["a message of a call that is not there", 0, [toCallee([], 9)], "request id 9"],
    ["a message of a unary call", 0, [toCallee()], "message frame for request id 1"],
    ["a message of a server stream", ServerStreams, [toCallee()], "message frame for"],
    ["a message after its end", ClientStreams, [endFrame(1), toCallee()], "message frame for"],
    ["a message after its cancel", ClientStreams, [cancelFrame(1), toCallee()], "message frame"],
    [
      "a message without the stream's credit",
      ClientStreams,
      [toCallee(full), toCallee()],
      "a message for request id 1 came without credit",
    ],
    [
      "a message without the connection's credit",
      ClientStreams,
      [
        frame({ kind: FrameKind.Request, flags: ClientStreams, requestId: 2 }),
        toCallee([1]),
        toCallee(full, 2),
        toCallee(),
      ],
      "a message for request id 1 came without credit",
    ],
    [
      "a message in the middle of another one",
      ClientStreams,
      [piecesToCallee[0] as Uint8Array, toCallee()],
      "message frame for request id 1 is out of place",
    ],
    [
      "an end in the middle of a message",
      ClientStreams,
      [piecesToCallee[0] as Uint8Array, endFrame(1)],
      "end frame for request id 1 is out of place",
    ],
    [
      "a piece of no message",
      ClientStreams,
      [piecesToCallee[1] as Uint8Array],
      "continue frame for request id 1 is out of place",
    ],
    ["an end twice", ClientStreams, [endFrame(1), endFrame(1)], "end frame for request id 1"],
    ["an end of a unary call", 0, [endFrame(1)], "end frame for request id 1 is out of place"],
    ["an end of a server stream", ServerStreams, [endFrame(1)], "end frame for request id 1"],
    ["an end of a call that is not there", 0, [endFrame(9)], "end frame for request id 9"],
    [
      "credit for a unary call",
      0,
      [creditFrame(0, 1, 1)],
      "credit frame for request id 1 is out of place",
    ],
    [
      "credit for a stream that it sends itself",
      ClientStreams,
      [creditFrame(0, 1, 1)],
      "credit frame for request id 1 is out of place",
    ],
    [
      "credit for what was not sent",
      ServerStreams,
      [creditFrame(0, 1, 1)],
      "credit of 1 bytes for request id 1, which has 0 outstanding",
    ],
    [
      "credit without a number",
      ServerStreams,
      [frame({ kind: FrameKind.Credit })],
      "credit frame has 0 bytes instead of 4",
    ],
    [
      "a request that streams its messages and has one",
      0,
      [frame({ flags: ClientStreams, requestId: 2, payload: [1] })],
      "request 2 has a message, and streams them too",
    ],
    [
      "a request in pieces that streams its messages",
      0,
      [frame({ flags: ClientStreams | More, requestId: 2, payload: u32(70_000) })],
      "request 2 has a message, and streams them too",
    ],
    [
      "an id that is taken by a stream",
      ClientStreams,
      [request(1)],
      "request id 1 is in use already",
    ],
  ];
  test.each(cases)("%s", async (_, streamFlags, frames, text) => {
    const { peer, call } = await called(streamFlags);

    peer.deliver(...frames);

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
    expect(peer.connection.closeReason?.message).toContain(text);
    expect(call.signal.aborted).toBe(true);
    expectNothingLeft(peer.connection);
  });
});

describe("a call that streams", () => {
  test("goes out as a request with the flags of its kind, without a message of its own", async () => {
    const peer = scripted();
    for (const flags of [ServerStreams, ClientStreams, bothWays]) open(peer.connection, flags);

    const frames = await peer.sent();

    expect(frames.map(({ kind, flags, payload }) => [kind, flags, payload.byteLength])).toEqual([
      [FrameKind.Request, ServerStreams, 1],
      [FrameKind.Request, ClientStreams, 0],
      [FrameKind.Request, bothWays, 0],
    ]);
  });

  test("gives messages as they come, and ends with the response", async () => {
    const { peer, stream } = await calling(ServerStreams);

    peer.deliver(joined(toCaller([7]), toCaller([]), ...pieces, response(1)));

    const taken = await Array.fromAsync(stream.receiver);
    expect(taken.map(({ byteLength }) => byteLength)).toEqual([1, 0, 300]);
    expect(Buffer.compare(taken[2] as Uint8Array, patternBytes(300))).toBe(0);
    expect(await stream.response).toHaveLength(0);
  });

  test("gives credit back for what was taken", async () => {
    const { peer, stream } = await calling(ServerStreams);
    peer.deliver(toCaller(patternBytes(600)));
    await stream.receiver.next();

    expect(await peer.sent()).toEqual([
      { kind: FrameKind.Credit, flags: 0, methodId: 0, requestId: 1, payload: u32(612) },
    ]);
  });

  test("takes a message in pieces that others have overtaken", async () => {
    const { peer, stream } = await calling(ServerStreams, ServerStreams);

    // As a peer sends it whose long message waits until there is room.
    peer.deliver(toCaller([1]), toCaller(full, 2), ...pieces);

    expect(peer.connection.closeReason).toBeUndefined();
    expect(stream.receiver.count).toBe(2);
  });

  test("waits with its messages for its turn, and says its end behind them", async () => {
    const peer = scripted({ limits: { ...limits, maxInFlightStreams: 1 }, peerLimits: limits });
    const first = open(peer.connection, ClientStreams);
    first.sender.end();
    const { sender } = open(peer.connection, ClientStreams);
    const isReady = sender.isReady;
    peer.deliver(response(1));
    await first.response;

    sender.send(bytesWriter, bytes(5));
    sender.end();

    expect(isReady).toBe(false);
    expect((await peer.sent()).map(({ kind, payload }) => [kind, ...payload])).toEqual([
      [FrameKind.Request],
      [FrameKind.End],
      [FrameKind.Request],
      [FrameKind.Message, 5],
      [FrameKind.End],
    ]);
  });

  test("says with a cancel that no more comes if it is answered before its end", async () => {
    const { peer, stream } = await calling(ClientStreams);

    peer.deliver(response(1, [9]));

    expect(await stream.response).toEqual(bytes(9));
    expect(kinds(await peer.sent())).toEqual([FrameKind.Cancel]);
    expect(stream.sender.isStopped).toBe(true);
    expectNothingLeft(peer.connection);
  });

  test("says nothing if it is answered after its end", async () => {
    const { peer, stream } = await calling(ClientStreams);
    stream.sender.end();
    await peer.sent();

    peer.deliver(response(1, [9]));

    await stream.response;
    expect(await peer.sent()).toEqual([]);
  });

  test("gives up its messages when it is abandoned: what comes late is dropped", async () => {
    const { peer, stream } = await calling(bothWays);
    stream.sender.send(bytesWriter, patternBytes(70_000));
    const next = stream.receiver.next();
    void stream.receiver.return();
    const sent = await peer.sent();
    peer.deliver(toCaller(full), toCaller(full), ...pieces.slice(0, 2));
    peer.deliver(creditFrame(FromCallee, 1, 50_000), errorFrame(1, "cancelled", "given up"));

    expect(await next).toEqual({ done: true, value: undefined });
    expect(kinds(sent).at(-1)).toBe(FrameKind.Cancel);
    expect((await rejection(stream.response)).code).toBe("cancelled");
    expect(peer.connection.closeReason).toBeUndefined();
    expectNothingLeft(peer.connection);
  });

  test("ends with resource_exhausted if a message is announced as too long, and others go on", async () => {
    const { peer, stream, other } = await calling(ServerStreams, 0);

    peer.deliver(
      frame({ kind: FrameKind.Message, flags: FromCallee | More, payload: u32(100_001) }),
      response(2, [4]),
      errorFrame(1, "cancelled", "given up"),
    );

    expect((await rejection(stream.receiver.next())).message).toContain(
      "message of test.Echo.Echo has 100001 bytes, more than maxMessageBytes 100000",
    );
    expect(await other.response).toEqual(bytes(4));
    expectNothingLeft(peer.connection);
  });

  test("ends if a message cannot be read, and delivers those before it", async () => {
    const peer = scripted();
    const { receiver, response } = peer.connection.openStream(
      route,
      ServerStreams,
      bytesWriter,
      bytes(),
      bytesReader,
      {
        read(buffer, from) {
          if (buffer[from] === 2) throw new Error("unreadable");
          return buffer[from];
        },
      },
    );
    await peer.sent();

    peer.deliver(joined(toCaller([1]), toCaller([2]), toCaller([3])));

    expect(await receiver?.next()).toEqual({ done: false, value: 1 });
    expect((await rejection(receiver?.next() as Promise<unknown>)).message).toContain("unreadable");
    expect((await rejection(response)).message).toContain("unreadable");
    expect(kinds(await peer.sent()).at(-1)).toBe(FrameKind.Cancel);
  });

  test("that is given up while it waits for its turn leaves nothing", async () => {
    const { peer } = await calling(ServerStreams, ServerStreams, {
      limits: { ...limits, maxInFlightStreams: 2 },
    });
    const stream = open(peer.connection, bothWays);
    void stream.receiver.return();
    peer.deliver(response(1), response(2));

    expect((await rejection(stream.response)).code).toBe("cancelled");
    expect(await peer.sent()).toEqual([]);
    expectNothingLeft(peer.connection);
  });

  test("drops what waits for its reader when its signal aborts", async () => {
    const peer = scripted();
    const controller = new AbortController();
    const { receiver } = open(peer.connection, ServerStreams, { signal: controller.signal });
    await peer.sent();
    peer.deliver(toCaller([1]), toCaller([2]));
    await receiver.next();

    controller.abort();

    expect((await rejection(receiver.next())).code).toBe("cancelled");
  });
});

describe("a call of the peer that streams", () => {
  test("is given messages as they come, in pieces too, until its end", async () => {
    const { peer, receiver } = await called(ClientStreams);

    peer.deliver(joined(toCallee([7]), ...piecesToCallee, endFrame(1)));

    const taken = await Array.fromAsync(receiver);
    expect(taken.map(({ byteLength }) => byteLength)).toEqual([1, 300]);
    expect(peer.connection.incomingCount).toBe(1);
  });

  test("gives credit back with the callee's flag", async () => {
    const { peer, receiver } = await called(ClientStreams);
    peer.deliver(toCallee(patternBytes(600)));
    await receiver.next();

    expect((await peer.sent()).map(({ kind, flags, payload }) => [kind, flags, payload])).toEqual([
      [FrameKind.Credit, FromCallee, u32(612)],
    ]);
  });

  test.each([
    ["its end", endFrame(1)],
    ["its cancel", cancelFrame(1)],
  ])("that is answered early keeps its id until %s, and drops its messages", async (_, last) => {
    const { peer, call, receiver } = await called(ClientStreams);
    const reading = receiver.next();
    call.respond(bytesWriter, bytes(3));
    const answered = await peer.sent();
    peer.deliver(toCallee(full), toCallee(full), ...piecesToCallee);
    const before = peer.connection.incomingCount;

    peer.deliver(last, request(1));

    expect(kinds(answered)).toEqual([FrameKind.Response]);
    expect((await rejection(reading)).message).toContain("has been answered");
    expect([before, peer.connection.incomingCount]).toEqual([1, 1]);
    expect(peer.connection.closeReason).toBeUndefined();
    expect(peer.connection.outstandingBytes.received).toBe(0);
  });

  test("is answered with an error where its deadline cut a message, whatever the handler says", async () => {
    const { peer, call } = await called(ServerStreams);
    peer.transport.onWrite = () => (peer.transport.isCongested = true);
    call.sender?.send(bytesWriter, patternBytes(99_000));
    const [piece] = await peer.sent();

    call.due();
    call.respond(bytesWriter, bytes(3));

    expect([piece?.kind, (piece?.flags ?? 0) & FrameFlag.More]).toEqual([FrameKind.Message, 1]);
    expect(kinds(await peer.sent())).toEqual([FrameKind.Error]);
  });

  test("that is answered early has its id taken: another request of it is refused", async () => {
    const { peer, call } = await called(ClientStreams);
    call.respond(bytesWriter, bytes(3));

    peer.deliver(request(1));

    expect(peer.connection.closeReason?.message).toContain("request id 1 is in use already");
  });

  test("that is answered early with a long message counts once, and can be cancelled", async () => {
    const options = { limits: { ...limits, maxInFlightCalls: 2 } };
    const { peer, call } = await called(ClientStreams, options);
    peer.transport.isCongested = true;
    call.respond(bytesWriter, patternBytes(90_000));
    const count = peer.connection.incomingCount;

    peer.deliver(request(2), cancelFrame(1));

    expect(count).toBe(1);
    expect(peer.connection.closeReason).toBeUndefined();
    expect(errorsIn(await peer.sent())).toEqual(["1 cancelled"]);
    expect(peer.connection.incomingCount).toBe(1);
  });

  test("is answered at once when it is cancelled, and its reader hears why", async () => {
    const { peer, call, receiver, sender } = await called(bothWays);
    const reading = receiver.next();

    peer.deliver(cancelFrame(1));

    expect(errorsIn(await peer.sent())).toEqual(["1 cancelled"]);
    expect((await rejection(reading)).rawMessage).toBe("the caller gave the call up");
    expect([sender.isStopped, call.signal.aborted]).toEqual([true, true]);
    expectNothingLeft(peer.connection);
  });

  test("may be cancelled in the middle of a message, in either direction", async () => {
    const { peer, sender } = await called(bothWays);
    peer.transport.isCongested = true;
    sender.send(bytesWriter, patternBytes(90_000));
    peer.deliver(piecesToCallee[0] as Uint8Array);

    peer.deliver(cancelFrame(1));
    peer.transport.drained();

    expect(kinds(await peer.sent())).toEqual([FrameKind.Error]);
    expectNothingLeft(peer.connection);
  });

  test("ends with resource_exhausted if a message is too long, and others go on", async () => {
    const { peer, call } = await called(ClientStreams);
    peer.deliver(request(2));

    peer.deliver(frame({ kind: FrameKind.Message, flags: More, payload: u32(100_001) }));
    const sent = await peer.sent();
    peer.deliver(cancelFrame(1));

    expect(errorsIn(sent)).toEqual(["1 resource_exhausted"]);
    expect(call.signal.aborted).toBe(true);
    expect(peer.connection.closeReason).toBeUndefined();
    expect(peer.connection.incomingCount).toBe(1);
  });

  test("takes credit that crosses with its deadline, and keeps its accounts until its answer", async () => {
    using clock = new Clock();
    const handler = new KeepingStreams();
    const peer = scripted({ limits, peerLimits: limits, handler });
    peer.deliver(
      frame({ flags: ServerStreams | FrameFlag.Deadline, payload: joined(u32(50), bytes(1)) }),
    );
    const [call] = handler.calls as [IncomingCall];
    call.sender?.send(bytesWriter, full);
    clock.advance(60);
    const stopped = [call.sender?.isStopped, peer.connection.outstandingBytes.sent];

    peer.deliver(creditFrame(0, 1, 1036));
    const credited = peer.connection.outstandingBytes.sent;
    peer.deliver(cancelFrame(1));

    expect([...stopped, credited]).toEqual([true, 1036, 0]);
    expect(peer.connection.closeReason).toBeUndefined();
    expectNothingLeft(peer.connection);
  });

  test("drops messages that come after its deadline", async () => {
    using clock = new Clock();
    const handler = new KeepingStreams();
    const peer = scripted({ limits, peerLimits: limits, handler });
    peer.deliver(frame({ flags: ClientStreams | FrameFlag.Deadline, payload: u32(50) }));
    clock.advance(60);

    peer.deliver(toCallee(full), toCallee(full), cancelFrame(1));

    const [receiver] = handler.receivers as [MessageReceiver<Uint8Array>];
    expect((await rejection(receiver.next())).code).toBe("deadline_exceeded");
    expectNothingLeft(peer.connection);
  });

  test("ignores credit that crosses with its answer", async () => {
    const { peer, call, sender } = await called(ServerStreams);
    sender.send(bytesWriter, full);
    call.respond(emptyWriter, undefined);

    peer.deliver(creditFrame(0, 1, 1036));

    expect(peer.connection.closeReason).toBeUndefined();
    expectNothingLeft(peer.connection);
  });

  test.each([
    ["a client stream", ClientStreams],
    ["a server stream", ServerStreams],
    ["a stream both ways", bothWays],
  ])("as %s where the rpc is unary is unimplemented, and other calls go on", async (_, flags) => {
    const served = [
      { service: textService("test.Echo", "Echo"), handler: { echo: (t: string) => t } },
    ];
    const peer = scripted({ handler: new Dispatcher(served as never, { maxRunningHandlers: 10 }) });

    peer.deliver(frame({ flags }));
    const sent = await peer.sent();
    const { incomingCount } = peer.connection;
    // A caller that streams may have sent all this before it hears of it.
    if ((flags & ClientStreams) !== 0) peer.deliver(toCallee([1]), toCallee([2]), endFrame(1));
    peer.deliver(request(2, [0x41]));

    expect(errorsIn(sent)).toEqual(["1 unimplemented"]);
    expect(incomingCount).toBe((flags & ClientStreams) === 0 ? 0 : 1);
    expect((await peer.sent()).map(({ requestId, payload }) => [requestId, ...payload])).toEqual([
      [2, 0x41],
    ]);
    expectNothingLeft(peer.connection);
  });
});

test("a million messages of one stream cost no more memory than ten thousand", async () => {
  const handler = new KeepingStreams();
  const { host, plugin } = pair({ handler });
  const { receiver } = open(host, ServerStreams);
  const taking = (async () => {
    let count = 0;
    for await (const _ of receiver) count += 1;
    return count;
  })();
  await Bun.sleep(1);
  const [call] = handler.calls as [IncomingCall];
  const send = async (count: number): Promise<void> => {
    const sender = call.sender as MessageSender;
    for (let i = 0; i < count; i++) {
      while (!sender.isReady) await sender.ready();
      sender.send(emptyWriter, undefined);
    }
  };
  await send(10_000);
  const before = heapBytes();
  await send(1_000_000);
  const grown = heapBytes() - before;
  call.respond(emptyWriter, undefined);

  expect(await taking).toBe(1_010_000);
  // A window of messages may wait in it.
  expect(grown).toBeLessThan(8 * 1024 * 1024);
  await settled();
  expectNothingLeft(host);
  expectNothingLeft(plugin);
}, 20_000);

function heapBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}
