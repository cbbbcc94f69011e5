// Places by class: calls, calls that stream, nested calls. Each is counted apart, on both sides.

import { describe, expect, test } from "bun:test";

import { IncomingCall } from "../../src/call/incoming-call.ts";
import type { Limits } from "../../src/call/limits.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { emptyWriter } from "../../src/stream/payload.ts";
import { pair, scripted } from "../support/connections.ts";
import { turnsUntil } from "../support/fake-transport.ts";
import {
  cancelFrame,
  endFrame,
  errorFrame,
  frame,
  request,
  response,
  split,
  u32,
} from "../support/frames.ts";
import {
  bytes,
  bytesReader,
  bytesWriter,
  echo,
  KeepingHandler,
  Outcomes,
  route,
} from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";

const { ClientStreams, Deadline, Metadata, More, Nested, ServerStreams } = FrameFlag;
const one = { maxInFlightCalls: 1, maxInFlightStreams: 1, maxNestedCalls: 1 };

interface Class {
  readonly limit: keyof Limits;
  /** What a request of it has for flags. */
  readonly flags: readonly number[];
}

const classes: readonly Class[] = [
  { limit: "maxInFlightCalls", flags: [0] },
  {
    limit: "maxInFlightStreams",
    flags: [ServerStreams, ClientStreams, ClientStreams | ServerStreams],
  },
  { limit: "maxNestedCalls", flags: [Nested, Nested | ServerStreams, Nested | ClientStreams] },
];

const cases = classes.flatMap(({ limit, flags }) =>
  flags.map((each) => [limit, each.toString(16), each] as const),
);

/** A parent that is somewhere in the making. */
// A call that came by the connection: others that are made for it are nested.
function parentCall({ connection }: ReturnType<typeof scripted>): IncomingCall {
  connection.owns = () => true;
  const responder = { respond() {}, fail() {}, defer() {}, messages: () => undefined as never };
  return new IncomingCall(responder, 1, 0, 0);
}

describe("a request of the peer", () => {
  test.each(cases)("beyond %s ends the connection, naming it (flags 0x%s)", (limit, _, flags) => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits: { ...one, [limit]: 2 }, handler });
    // The other classes are full, which is nothing to this one.
    const others = classes.filter((each) => each.limit !== limit).map((each) => each.flags[0]);
    others.forEach((other, i) =>
      peer.deliver(frame({ flags: other as number, requestId: 90 + i })),
    );
    peer.deliver(frame({ flags, requestId: 1 }), frame({ flags, requestId: 2 }));
    const before = peer.connection.closeReason;

    peer.deliver(frame({ flags, requestId: 3 }));

    expect(before).toBeUndefined();
    expect(handler.calls).toHaveLength(4);
    expect(peer.connection.closeReason?.message).toBe(
      `[protocol_error] request 3 is one more than ${limit} 2`,
    );
    expect(peer.connection.incomingCount).toBe(0);
  });

  test.each(cases)(
    "within %s has its place again when it is answered (flags 0x%s)",
    (_, __, flags) => {
      const handler = new KeepingHandler();
      const peer = scripted({ limits: one, handler });

      for (let requestId = 1; requestId <= 100; requestId++) {
        peer.deliver(frame({ flags, requestId }));
        const { call } = handler.calls.at(-1) as KeepingHandler["calls"][0];
        if ((flags & ClientStreams) !== 0) peer.deliver(endFrame(requestId));
        if (requestId % 2 === 0) call.respond(emptyWriter, undefined);
        else call.fail(new Error("no"));
      }

      expect(peer.connection.closeReason).toBeUndefined();
      expect(peer.connection.incomingCount).toBe(0);
    },
  );

  test("that streams keeps its place when it is answered before its messages are over", () => {
    const handler = new KeepingHandler();
    const peer = scripted({ limits: one, handler });
    peer.deliver(frame({ flags: ClientStreams, requestId: 1 }));
    handler.calls[0]?.call.respond(bytesWriter, bytes(1));
    const incomingCount = peer.connection.incomingCount;

    peer.deliver(endFrame(1), frame({ flags: ClientStreams, requestId: 2 }));
    expect(peer.connection.closeReason).toBeUndefined();
    handler.calls[1]?.call.respond(bytesWriter, bytes(1));
    peer.deliver(frame({ flags: ClientStreams, requestId: 3 }));

    expect(incomingCount).toBe(1);
    expect(peer.connection.closeReason?.message).toContain("maxInFlightStreams 1");
  });

  test("that is cancelled has its place again at once, whatever its handler does", () => {
    const peer = scripted({ limits: one, handler: new KeepingHandler() });

    for (const { flags } of classes) {
      for (let requestId = 1; requestId <= 20; requestId++) {
        peer.deliver(frame({ flags: flags[0] as number, requestId }), cancelFrame(requestId));
      }
    }

    expect(peer.connection.closeReason).toBeUndefined();
    expect(peer.connection.incomingCount).toBe(0);
  });

  test("that is nested says so to its handler, and others do not", () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });

    peer.deliver(frame({ flags: Nested, requestId: 1 }), request(2));
    peer.deliver(...split(FrameKind.Request, 3, patternBytes(100_000)));

    expect(handler.calls.map(({ call }) => call.isNested)).toEqual([true, false, false]);
  });
});

describe("a call beyond its allowance", () => {
  const two = { ...one, maxInFlightStreams: 2 };

  function openStream(peer: ReturnType<typeof scripted>, context?: IncomingCall) {
    const terms = context === undefined ? undefined : { context };
    const stream = peer.connection.openStream(
      route,
      ServerStreams,
      bytesWriter,
      bytes(),
      bytesReader,
      bytesReader,
      terms,
    );
    return stream.response;
  }

  async function requests(peer: ReturnType<typeof scripted>) {
    const sent = await peer.sent();
    return sent
      .filter(({ kind }) => kind === FrameKind.Request)
      .map(({ flags, requestId }) => [flags, requestId]);
  }

  test("waits for a place of its own class, and for no other", async () => {
    const peer = scripted({ limits: two });
    const calls = [peer.call(bytes(1)), peer.call(bytes(2))];
    const streams = [openStream(peer), openStream(peer), openStream(peer)];
    const outcomes = new Outcomes([...calls, ...streams]);
    const first = await requests(peer);

    peer.deliver(response(1));
    const second = await requests(peer);
    peer.deliver(response(2));
    const third = await requests(peer);

    expect(first).toEqual([
      [0, 1],
      [ServerStreams, 2],
      [ServerStreams, 3],
    ]);
    expect(second.map(([flags]) => flags)).toEqual([0]);
    expect(third.map(([flags]) => flags)).toEqual([ServerStreams]);
    expect(outcomes.settledCount).toBe(2);
    expect(peer.connection.inFlightCount).toBe(3);
  });

  test("goes by the lower number of the two sides, class by class", async () => {
    const peer = scripted({
      limits: { maxInFlightCalls: 1, maxInFlightStreams: 9, maxNestedCalls: 2 },
      peerLimits: { maxInFlightCalls: 9, maxInFlightStreams: 2, maxNestedCalls: 1 },
    });
    const context = parentCall(peer);
    for (let i = 0; i < 4; i++) {
      void peer.call(bytes()).catch(() => {});
      void openStream(peer).catch(() => {});
    }
    void peer.call(bytes(), { context });

    const refused = await rejection(peer.call(bytes(), { context }));

    expect((await requests(peer)).map(([flags]) => flags)).toEqual([
      0,
      ServerStreams,
      ServerStreams,
      Nested,
    ]);
    expect(refused.message).toContain("maxNestedCalls 1");
  });

  test("that is nested fails at once with resource_exhausted, and sends nothing", async () => {
    const peer = scripted({ limits: one });
    const context = parentCall(peer);
    const first = peer.call(bytes(1), { context });
    await requests(peer);

    const errors = await Promise.all([
      rejection(peer.call(bytes(2), { context })),
      rejection(openStream(peer, context)),
    ]);

    expect(errors.map(({ message }) => message)).toEqual([
      "[resource_exhausted] test.Echo.Echo is one more than maxNestedCalls 1",
      "[resource_exhausted] test.Echo.Echo is one more than maxNestedCalls 1",
    ]);
    expect(await requests(peer)).toEqual([]);
    expect(peer.connection.inFlightCount).toBe(1);
    peer.deliver(response(1));
    await first;
    void peer.call(bytes(3), { context });
    expect((await requests(peer)).map(([flags]) => flags)).toEqual([Nested]);
  });

  test("that is nested waits for no other class, with a deadline it leaves none behind", async () => {
    const peer = scripted({ limits: one });
    void peer.call(bytes()).catch(() => {});
    void openStream(peer).catch(() => {});
    const context = parentCall(peer);
    void peer.call(bytes(), { context, timeoutMs: 60_000 }).catch(() => {});

    const error = await rejection(peer.call(bytes(), { context, timeoutMs: 60_000 }));

    expect(error.code).toBe("resource_exhausted");
    expect((await requests(peer)).map(([flags]) => flags)).toEqual([
      0,
      ServerStreams,
      Nested | Deadline,
    ]);
    expect(peer.connection.deadlineCount).toBe(1);
  });

  test("keeps its class when it is given up while it waits: the next one goes in its order", async () => {
    const peer = scripted({ limits: one });
    const controller = new AbortController();
    void peer.call(bytes(1)).catch(() => {});
    const given = rejection(peer.call(bytes(2), { signal: controller.signal }));
    void peer.call(bytes(3)).catch(() => {});
    controller.abort();
    await given;
    await requests(peer);

    peer.deliver(errorFrame(1, "aborted", "no"));

    const sent = await peer.sent();
    expect(sent.map(({ payload }) => [...payload])).toEqual([[3]]);
  });
});

describe("the flags of a request", () => {
  test("say nested where the call has a context, also in pieces, with headers and a deadline", async () => {
    const peer = scripted();
    const context = parentCall(peer);
    const terms = { context, timeoutMs: 60_000, headers: { a: "b" } };
    void peer.call(bytes(1), terms).catch(() => {});
    void peer.call(patternBytes(100_000), terms).catch(() => {});

    const sent = await peer.sent();

    expect(sent.map(({ flags }) => flags)).toEqual([
      Nested | Deadline | Metadata,
      More | Nested | Deadline | Metadata,
      0,
    ]);
  });
});

describe("calls that nest both ways", () => {
  test("go as deep as maxNestedCalls allows, where maxInFlightCalls is 1, and then one fails", async () => {
    const depth = 5;
    const limits = { maxInFlightCalls: 1, maxNestedCalls: depth };
    const handlers: KeepingHandler[] = [new KeepingHandler(), new KeepingHandler()];
    const left = pairOf(limits, handlers);
    const sides = [left.host, left.plugin];
    const outcomes = new Outcomes([
      sides[0]?.call(route, bytesWriter, bytes(0), bytesReader) as never,
    ]);
    const nested: Promise<unknown>[] = [];

    // Each side has an allowance of its own: depth calls from either.
    for (let level = 0; level < depth * 2; level++) {
      const [side, handler] = level % 2 === 0 ? [1, handlers[1]] : [0, handlers[0]];
      const count = Math.floor(level / 2) + 1;
      await turnsUntil(`level ${level}`, () => handler?.calls.length === count);
      const context = handler?.calls.at(-1)?.call as IncomingCall;
      const terms = { context };
      nested.push(
        sides[side]?.call(route, bytesWriter, bytes(level), bytesReader, terms) as Promise<unknown>,
      );
    }
    await turnsUntil("the last one has come", () => handlers[1]?.calls.length === depth + 1);
    const context = handlers[1]?.calls.at(-1)?.call as IncomingCall;
    const tooDeep = await rejection(
      sides[1]?.call(route, bytesWriter, bytes(99), bytesReader, { context }) as Promise<unknown>,
    );

    for (let i = depth; i >= 0; i--) {
      for (const handler of [handlers[1], handlers[0]]) {
        const kept = handler?.calls[i];
        kept?.call.respond(bytesWriter, kept.request);
      }
    }
    await Promise.all(nested);
    await turnsUntil("the first one is answered", () => outcomes.settledCount === 1);
    expect(tooDeep.message).toContain(`maxNestedCalls ${depth}`);
    expect(outcomes.values[0]).toEqual(bytes(0));
    expect(sides.map(({ idCount, incomingCount }) => [idCount, incomingCount])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  function pairOf(limits: Partial<Limits>, [host, plugin]: readonly KeepingHandler[]) {
    return pair({
      limits,
      handler: plugin as KeepingHandler,
      hostHandler: host as KeepingHandler,
    });
  }
});

test("answers at once need no place, in any class", () => {
  const peer = scripted({ limits: one, handler: echo });

  peer.deliver(
    ...[1, 2, 3].map((id) => frame({ flags: Nested, requestId: id })),
    request(4),
    request(5),
  );
  peer.deliver(frame({ flags: Deadline, requestId: 6, payload: u32(9) }));

  expect(peer.connection.closeReason).toBeUndefined();
  expect(peer.connection.incomingCount).toBe(0);
});
