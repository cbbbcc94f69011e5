// Go-away: a side that takes no new calls, what it still answers, and what its peer does.

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import type { IncomingCall } from "../../src/call/incoming-call.ts";
import { decodeError, encodeError } from "../../src/frame/error-payload.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { emptyWriter } from "../../src/stream/payload.ts";
import { Clock } from "../support/clock.ts";
import { call, pair, scripted } from "../support/connections.ts";
import { settled, turnsUntil } from "../support/fake-transport.ts";
import {
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
import {
  bytes,
  bytesReader,
  bytesWriter,
  KeepingHandler,
  Outcomes,
  route,
} from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";
import { rejection, thrown } from "../support/rejection.ts";

const { ClientStreams, Deadline, Nested, ServerStreams } = FrameFlag;
const { Error: ErrorKind, GoAway, Request } = FrameKind;
const over = new PlugError("draining", "the plugin is ending");

function goAway(message = "the plugin is ending"): Uint8Array {
  return frame({
    kind: GoAway,
    requestId: 0,
    payload: encodeError(new PlugError("draining", message), "runtime"),
  });
}

function errorsIn(frames: readonly TestFrame[]): string[] {
  return frames
    .filter(({ kind }) => kind === ErrorKind)
    .map(({ requestId, payload }) => `${requestId} ${decodeError(payload).message}`);
}

describe("a side that drains", () => {
  test("says so once, with its reason, however often it is told to", async () => {
    const peer = scripted();

    peer.connection.drain(over);
    peer.connection.drain(new PlugError("draining", "again"));

    const sent = await peer.sent();
    expect(sent.map(({ kind, flags, requestId }) => [kind, flags, requestId])).toEqual([
      [GoAway, 0, 0],
    ]);
    expect(decodeError((sent[0] as TestFrame).payload, "runtime").message).toBe(over.message);
  });

  test("answers new requests of all kinds with draining, and runs none of them", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.connection.drain(over);
    await peer.sent();

    peer.deliver(
      request(1),
      frame({ flags: Deadline, requestId: 2, payload: u32(50) }),
      frame({ flags: ServerStreams, requestId: 3 }),
      frame({ flags: ClientStreams, requestId: 4 }),
      ...split(Request, 5, patternBytes(100_000)),
    );

    expect(errorsIn(await peer.sent())).toEqual(
      [1, 2, 3, 4, 5].map((id) => `${id} ${over.message}`),
    );
    expect(handler.calls).toEqual([]);
    // The messages of 4 are not over until its caller says so.
    expect(peer.connection.incomingCount).toBe(1);
    peer.deliver(messageFrame(0, 4, [1]), endFrame(4));
    expect([peer.connection.incomingCount, peer.connection.deadlineCount]).toEqual([0, 0]);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("runs nested requests as before", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.connection.drain(over);

    peer.deliver(
      frame({ flags: Nested, requestId: 1 }),
      frame({ flags: Nested | ServerStreams, requestId: 2 }),
    );

    expect(handler.calls.map(({ call: { id } }) => id)).toEqual([1, 2]);
  });

  test("finishes what is in flight, of which the rest comes later too", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    const [first, ...rest] = split(Request, 2, patternBytes(150_000));
    peer.deliver(
      request(1),
      first as Uint8Array,
      frame({ flags: ServerStreams, requestId: 3 }),
      frame({ flags: ClientStreams, requestId: 4 }),
    );
    const stream = handler.calls.find(({ call: { id } }) => id === 4)?.call as IncomingCall;
    const messages = stream.messages(bytesReader);

    peer.connection.drain(over);
    peer.deliver(...rest, messageFrame(0, 4, [7]), endFrame(4));
    const taken = await Array.fromAsync(messages);
    for (const kept of handler.calls) kept.call.respond(emptyWriter, undefined);

    const kinds = (await peer.sent())
      .filter(({ kind }) => kind !== FrameKind.Credit)
      .map(({ kind, requestId }) => [kind, requestId]);
    expect(kinds).toEqual([[GoAway, 0], ...[1, 3, 4, 2].map((id) => [FrameKind.Response, id])]);
    expect(taken).toEqual([bytes(7)]);
    expect(peer.connection.incomingCount).toBe(0);
  });

  test("places calls of its own as before", async () => {
    const peer = scripted();
    peer.connection.drain(over);

    const result = peer.call(bytes(1));
    peer.deliver(response(1, [2]));

    expect(await result).toEqual(bytes(2));
  });

  test("says nothing when the connection is closed", async () => {
    const peer = scripted();
    peer.connection.close(over);

    peer.connection.drain(over);

    expect(await peer.sent()).toEqual([]);
  });
});

describe("a side whose peer drains", () => {
  const limits = { maxInFlightCalls: 1, maxInFlightStreams: 1 };

  function openStream(peer: ReturnType<typeof scripted>) {
    const { connection } = peer;
    return connection.openStream(
      route,
      ServerStreams,
      bytesWriter,
      bytes(),
      bytesReader,
      bytesReader,
    );
  }

  test("is told why, once", () => {
    const told: PlugError[] = [];
    const peer = scripted({ events: { onDraining: (reason) => told.push(reason) } });

    peer.deliver(goAway(), goAway("again"));

    expect(told.map(({ code, rawMessage, origin }) => [code, rawMessage, origin])).toEqual([
      ["draining", "the plugin is ending; the call was not sent", "peer"],
    ]);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("rejects calls that wait, and those in flight are answered", async () => {
    const peer = scripted({ limits });
    const [first, second] = [peer.call(bytes(1), { timeoutMs: 60_000 }), peer.call(bytes(2))];
    const third = peer.call(bytes(3), { timeoutMs: 60_000 });
    const streams = [openStream(peer), openStream(peer)];
    await peer.sent();

    peer.deliver(goAway());
    const errors = await Promise.all(
      [second, third, streams[1]?.response as Promise<unknown>].map(rejection),
    );

    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(["draining"] as const));
    expect(await rejection(streams[1]?.receiver?.next() as Promise<unknown>)).toBe(
      errors[2] as PlugError,
    );
    expect([peer.connection.inFlightCount, peer.connection.deadlineCount]).toEqual([2, 1]);
    peer.deliver(response(1, [9]), messageFrame(FrameFlag.FromCallee, 2, [8]), response(2));
    expect(await first).toEqual(bytes(9));
    expect(await Array.fromAsync(streams[0]?.receiver as never)).toEqual([bytes(8)]);
    expect(await peer.sent()).toEqual([]);
    expect(peer.connection.idCount).toBe(0);
  });

  test("rejects new calls with draining, and sends nothing of them", async () => {
    const peer = scripted({ limits });
    peer.deliver(goAway());

    const error = await rejection(peer.call(bytes()));

    expect(error.code).toBe("draining");
    expect(error.retry).toBe("new_process");
    expect(thrown(() => openStream(peer))).toBe(error);
    expect(await peer.sent()).toEqual([]);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("sends nested calls on", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits, handler });
    peer.deliver(request(9), goAway());
    const context = handler.calls[0]?.call as IncomingCall;

    const result = peer.call(bytes(1), { context });

    expect((await peer.sent()).map(({ kind, flags }) => [kind, flags])).toEqual([
      [Request, Nested],
    ]);
    peer.deliver(response(1, [2]));
    expect(await result).toEqual(bytes(2));
  });

  test("takes draining for the answer of a call that has crossed with the go-away", async () => {
    const peer = scripted();
    const result = peer.call(bytes());
    await peer.sent();

    peer.deliver(goAway(), errorFrame(1, "draining", "the plugin is ending"));

    const error = await rejection(result);
    expect([error.code, error.origin]).toEqual(["draining", "peer"]);
  });

  test("rejects with the end of the connection, once that has come", async () => {
    const peer = scripted();
    peer.deliver(goAway());
    peer.transport.end();

    expect((await rejection(peer.call(bytes()))).code).toBe("unavailable");
  });

  test.each([
    ["nothing", new Uint8Array(0)],
    ["no error", patternBytes(100)],
  ])("takes a go-away of %s, too", async (_, payload) => {
    const peer = scripted();

    peer.deliver(frame({ kind: GoAway, requestId: 0, payload }));

    expect((await rejection(peer.call(bytes()))).code).toBe("draining");
    expect(peer.connection.closeReason).toBeUndefined();
  });
});

describe("both sides that drain at once", () => {
  test("finish what is in flight both ways, with what is nested in it", async () => {
    const handlers = [new KeepingHandler(), new KeepingHandler()] as const;
    const { host, plugin } = pair({ handler: handlers[1], hostHandler: handlers[0] });
    const outer = [call(host, bytes(1)), call(plugin, bytes(2))];
    await turnsUntil("both have come", () => handlers.every(({ calls }) => calls.length === 1));

    host.drain(over);
    plugin.drain(over);
    const nested = [plugin, host].map((connection, i) => {
      const context = handlers[1 - i]?.calls[0]?.call as IncomingCall;
      return connection.call(route, bytesWriter, bytes(3 + i), bytesReader, { context });
    });
    await turnsUntil("those for them too", () => handlers.every(({ calls }) => calls.length === 2));
    const refused = await Promise.all([call(host, bytes()), call(plugin, bytes())].map(rejection));
    const idle = new Outcomes([host.idle(), plugin.idle()]);
    for (const { calls } of handlers) {
      for (const kept of calls.reverse()) kept.call.respond(bytesWriter, kept.request);
    }

    expect(await Promise.all([...outer, ...nested])).toEqual([1, 2, 3, 4].map((n) => bytes(n)));
    expect(refused.map(({ code }) => code)).toEqual(["draining", "draining"]);
    await turnsUntil("both are idle", () => idle.settledCount === 2);
  });
});

describe("Connection.idle", () => {
  test("resolves at once if nothing is in flight, or the connection is closed", async () => {
    const peer = scripted({ handler: new KeepingHandler() });
    await peer.connection.idle();
    peer.deliver(request(1));
    void peer.call(bytes()).catch(() => {});

    peer.connection.close(over);

    await peer.connection.idle();
  });

  test("waits for calls of both directions, until the last one", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.deliver(request(1), frame({ flags: ClientStreams, requestId: 2 }));
    const result = peer.call(bytes());
    const { settleCounts } = new Outcomes([peer.connection.idle()]);
    const seen: number[] = [];
    const steps = [
      () => handler.calls[0]?.call.respond(bytesWriter, bytes()),
      () => handler.calls[1]?.call.respond(bytesWriter, bytes()),
      () => peer.deliver(response(1)),
      () => peer.deliver(endFrame(2)),
    ];
    for (const step of steps) {
      step();
      await settled();
      seen.push(settleCounts[0] as number);
    }

    expect(seen).toEqual([0, 0, 0, 1]);
    await result;
  });

  test("waits for an answer that goes out in pieces", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.deliver(request(1));
    peer.transport.isCongested = true;
    handler.calls[0]?.call.respond(bytesWriter, patternBytes(300_000));
    const { settleCounts } = new Outcomes([peer.connection.idle()]);
    await settled();
    const before = settleCounts[0];

    peer.transport.drained();
    await settled();

    expect([before, settleCounts[0]]).toEqual([0, 1]);
  });

  test("resolves for each of those who ask, also while others wait", async () => {
    const peer = scripted();
    const result = peer.call(bytes());
    const { settleCounts } = new Outcomes([peer.connection.idle(), peer.connection.idle()]);
    await settled();
    const before = [...settleCounts];

    peer.deliver(response(1));
    await result;
    await settled();

    expect([before, settleCounts]).toEqual([
      [0, 0],
      [1, 1],
    ]);
    await peer.connection.idle();
  });

  test("waits until the last answer has gone out", async () => {
    using clock = new Clock();
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.deliver(request(1));
    peer.transport.unsentBytes = 13;
    const { settleCounts } = new Outcomes([peer.connection.idle()]);
    handler.calls[0]?.call.respond(bytesWriter, bytes(1));
    clock.advance(1_000);
    await settled();
    const before = settleCounts[0];

    peer.transport.unsentBytes = 0;
    clock.advance(100);
    await settled();

    expect([before, settleCounts[0]]).toEqual([0, 1]);
    expect(clock.timerCount).toBe(0);
  });

  test("resolves when the connection is closed in the middle", async () => {
    const peer = scripted({ handler: new KeepingHandler() });
    peer.deliver(request(1));
    const idle = peer.connection.idle();

    peer.connection.close(over);

    await idle;
  });
});

test("a long request of which nothing has been sent is not sent after a go-away", async () => {
  const peer = scripted();
  peer.transport.isCongested = true;
  const result = peer.call(patternBytes(100_000));
  await peer.sent();

  peer.deliver(
    frame({ kind: FrameKind.GoAway, requestId: 0, payload: encodeError(over, "runtime") }),
  );
  const error = await rejection(result);
  peer.transport.drained();

  expect(error.code).toBe("draining");
  expect(await peer.sent()).toEqual([]);
});
