// How a connection ends: whatever the reason, everything settles with it.

import { getEventListeners } from "node:events";

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { Clock } from "../support/clock.ts";
import { call, pair, scripted } from "../support/connections.ts";
import { joined } from "../support/cuts.ts";
import { settled, turnsUntil } from "../support/fake-transport.ts";
import { frame, request, response, split, u32 } from "../support/frames.ts";
import { bytes, bytesWriter, echo, KeepingHandler, Outcomes } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";

const gone = new PlugError("plugin_exited", "the plugin has gone");

describe("Connection.close", () => {
  test("rejects every call with the first reason: in flight, waiting, half sent, half answered", async () => {
    using clock = new Clock();
    const { signal } = new AbortController();
    const terms = { signal, timeoutMs: 1_000 };
    const peer = scripted({ limits: { maxInFlightCalls: 4 } });
    const messages = [bytes(1), bytes(2), patternBytes(500_000), bytes(4), bytes(5), bytes(6)];
    peer.transport.onWrite = () => (peer.transport.isCongested = true);
    const results = messages.map((message) => peer.call(message, terms));
    await peer.sent();
    peer.deliver(split(FrameKind.Response, 2, patternBytes(200_000))[0] as Uint8Array);

    peer.connection.close(gone);
    peer.connection.close(new PlugError("unavailable", "closed again"));

    const errors = await Promise.all(results.map(rejection));
    expect(errors).toEqual(messages.map(() => gone));
    expect(peer.connection.closeReason).toBe(gone);
    expect([peer.connection.inFlightCount, peer.connection.deadlineCount]).toEqual([0, 0]);
    expect(clock.timerCount).toBe(0);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("aborts what the handlers run, with the reason, and drops what they still say", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.deliver(
      request(1),
      frame({ requestId: 2, flags: FrameFlag.Deadline, payload: u32(60_000) }),
      split(FrameKind.Request, 3, patternBytes(200_000))[0] as Uint8Array,
    );
    await peer.sent();
    const [first, second] = handler.calls as [
      KeepingHandler["calls"][0],
      KeepingHandler["calls"][0],
    ];

    peer.connection.close(gone);
    first.call.respond(bytesWriter, bytes(1));
    second.call.fail(new Error("late"));

    expect([first, second].map(({ call }) => call.signal.reason)).toEqual([gone, gone]);
    expect(await peer.sent()).toEqual([]);
    expect([peer.connection.incomingCount, peer.connection.deadlineCount]).toEqual([0, 0]);
  });

  test("closes the transport once, and tells so once", () => {
    const told: PlugError[] = [];
    const peer = scripted({ events: { onClosed: (reason) => told.push(reason) } });

    peer.connection.close(gone);
    peer.connection.close(new PlugError("unavailable", "closed again"));

    expect(peer.transport.closeCount).toBe(1);
    expect(told).toEqual([gone]);
  });

  test("rejects calls that are placed after it, with its reason", async () => {
    const peer = scripted();
    peer.connection.close(gone);

    expect(await rejection(peer.call(bytes()))).toBe(gone);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("rejects its calls before it closes the transport, which may fail", async () => {
    const peer = scripted();
    peer.transport.close = () => {
      throw new Error("EBADF");
    };
    const outcomes = new Outcomes([peer.call(bytes())]);

    expect(() => peer.connection.close(gone)).toThrow("EBADF");

    await settled();
    expect(outcomes.errors).toEqual([gone]);
  });

  test("takes no frame after it, of the same chunk neither", () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });

    peer.deliver(joined(request(1), frame({ kind: FrameKind.Request, requestId: 0 }), request(2)));
    peer.deliver(request(3));

    expect(handler.calls.map(({ call }) => call.id)).toEqual([1]);
  });

  test("by a handler, in the middle of a chunk, leaves no call behind", async () => {
    using clock = new Clock();
    const handler = new KeepingHandler();
    const peer = scripted({
      handler: {
        handle(call, buffer, from, to) {
          peer.connection.close(gone);
          handler.handle(call, buffer, from, to);
        },
      },
    });

    peer.deliver(frame({ requestId: 1, flags: FrameFlag.Deadline, payload: u32(60_000) }));

    expect(handler.calls[0]?.call.signal.reason).toBe(gone);
    expect([peer.connection.incomingCount, peer.connection.deadlineCount]).toEqual([0, 0]);
    expect(clock.timerCount).toBe(0);
  });

  test("by who listens to the abort of a call changes nothing", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.deliver(request(1), request(2));
    const nested: Promise<unknown>[] = [];
    for (const { call } of handler.calls) {
      call.signal.addEventListener("abort", () => {
        peer.connection.close(new PlugError("internal", "again"));
        nested.push(peer.call(bytes()));
      });
    }

    peer.connection.close(gone);

    expect(await Promise.all(nested.map(rejection))).toEqual([gone, gone]);
    expect(peer.transport.closeCount).toBe(1);
  });

  test("sends no more of what was on its way", async () => {
    const peer = scripted();
    peer.transport.onWrite = () => (peer.transport.isCongested = true);
    const result = peer.call(patternBytes(500_000));
    await peer.sent();

    peer.connection.close(gone);
    peer.transport.drained();

    expect(await rejection(result)).toBe(gone);
    expect(await peer.sent()).toEqual([]);
  });
});

describe("the end of the transport", () => {
  test("rejects every call with unavailable and the cause, if nobody listens", async () => {
    const peer = scripted();
    const result = peer.call(bytes());
    const cause = new Error("EPIPE");

    peer.transport.end(cause);

    const error = await rejection(result);
    expect([error.code, error.cause]).toEqual(["unavailable", cause]);
  });

  test("is told to who listens, and calls wait until that one knows the reason", async () => {
    const told: unknown[] = [];
    const peer = scripted({ events: { onEnded: (cause) => told.push(cause) } });
    const outcomes = new Outcomes([peer.call(bytes())]);
    const cause = new Error("EPIPE");

    peer.transport.end(cause);
    await settled();
    const settledBefore = outcomes.settledCount;
    peer.connection.close(gone);
    await settled();

    expect(told).toEqual([cause]);
    expect(settledBefore).toBe(0);
    expect(outcomes.errors).toEqual([gone]);
  });

  test("leaves the answers that came before it", async () => {
    const peer = scripted();
    const [first, second] = [peer.call(bytes(1)), peer.call(bytes(2))];

    peer.deliver(response(1, [9]));
    peer.transport.end();

    expect(await first).toEqual(bytes(9));
    expect((await rejection(second)).code).toBe("unavailable");
  });

  test("of one side is the end of the other: the calls of both settle", async () => {
    const { host, plugin } = pair({ handler: new KeepingHandler() });
    const results = Array.from({ length: 100 }, () => call(host, bytes()));
    await turnsUntil("all calls have come", () => plugin.incomingCount === 100);

    plugin.close(gone);

    const errors = await Promise.all(results.map(rejection));
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(["unavailable"] as const));
    expect([host.inFlightCount, plugin.incomingCount]).toEqual([0, 0]);
  });
});

test("10,000 calls of one connection leave nothing behind", async () => {
  using clock = new Clock();
  const { host, plugin } = pair({ handler: echo });
  const { signal } = new AbortController();

  for (let round = 0; round < 10; round++) {
    await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => call(host, u32(i), { signal, timeoutMs: 60_000 })),
    );
  }
  host.close(gone);

  expect([host.inFlightCount, host.deadlineCount, plugin.incomingCount]).toEqual([0, 0, 0]);
  expect(getEventListeners(signal, "abort")).toEqual([]);
  await turnsUntil("the plugin has heard of it", () => plugin.closeReason !== undefined);
  expect(plugin.deadlineCount).toBe(0);
  expect(clock.timerCount).toBe(0);
});

test.each(["onHeader", "onTrailer"] as const)(
  "a connection that is closed in %s frees the call's id once",
  async (name) => {
    const peer = scripted();
    const reason = new PlugError("unavailable", "over");
    const result = peer.call(bytes(), { [name]: () => peer.connection.close(reason) });

    peer.deliver(response(1));

    expect((await rejection(result)).code).toBe("unavailable");
    expect(peer.connection.idCount).toBe(0);
  },
);
