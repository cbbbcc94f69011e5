// Calls that are given up: by their caller, or by their deadline.

import { getEventListeners } from "node:events";

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import fc from "fast-check";
import { FrameKind } from "../../src/frame/frame-header.ts";
import { Clock } from "../support/clock.ts";
import { scripted } from "../support/connections.ts";
import { settled } from "../support/fake-transport.ts";
import { errorFrame, response, split, type TestFrame, u32 } from "../support/frames.ts";
import { bytes, bytesReader, bytesWriter, Outcomes, route } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";

const kinds = (frames: readonly TestFrame[]): number[] => frames.map(({ kind }) => kind);

describe("a call that is cancelled", () => {
  test("rejects at once, and the peer is told", async () => {
    const peer = scripted();
    const controller = new AbortController();
    const result = peer.call(bytes(1), { signal: controller.signal });
    await peer.sent();

    controller.abort();

    expect((await rejection(result)).code).toBe("cancelled");
    expect(await peer.sent()).toEqual([
      { kind: FrameKind.Cancel, flags: 0, methodId: 0, requestId: 1, payload: bytes() },
    ]);
  });

  test("keeps its id until the peer has said its last word", async () => {
    const peer = scripted();
    const controller = new AbortController();
    void peer.call(bytes(1), { signal: controller.signal }).catch(() => {});
    controller.abort();
    await peer.sent();

    void peer.call(bytes(2)).catch(() => {});
    const second = await peer.sent();
    const { inFlightCount, idCount } = peer.connection;
    peer.deliver(errorFrame(1, "cancelled", "given up"));

    expect(second.map(({ requestId }) => requestId)).toEqual([2]);
    expect([inFlightCount, idCount, peer.connection.idCount]).toEqual([1, 2, 1]);
  });

  test.each([
    ["an answer", response(1, [9])],
    ["an error", errorFrame(1, "not_found", "x")],
  ])("drops %s that comes late, and its id is free after it", async (_, late) => {
    const peer = scripted();
    const controller = new AbortController();
    const result = peer.call(bytes(1), { signal: controller.signal });
    await peer.sent();
    controller.abort();

    peer.deliver(late);

    expect((await rejection(result)).code).toBe("cancelled");
    expect(peer.connection.inFlightCount).toBe(0);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("does not take an answer to an earlier call of the same place for its own", async () => {
    const peer = scripted();
    const first = peer.call(bytes(1));
    peer.deliver(response(1));
    await first;
    const second = peer.call(bytes(2));
    const ids = (await peer.sent()).map(({ requestId }) => requestId);

    peer.deliver(response(1, [66]));

    expect(new Set(ids).size).toBe(2);
    expect((await rejection(second)).code).toBe("protocol_error");
  });

  test("has not been heard of by the peer if it was waiting for its turn", async () => {
    const peer = scripted({ limits: { maxInFlightCalls: 1 } });
    const controller = new AbortController();
    const first = peer.call(bytes(1));
    const second = peer.call(bytes(2), { signal: controller.signal });
    const third = peer.call(bytes(3));

    controller.abort();
    const sentBefore = await peer.sent();
    peer.deliver(response(1));
    const sentAfter = await peer.sent();
    peer.deliver(response((sentAfter[0] as TestFrame).requestId));

    expect((await rejection(second)).code).toBe("cancelled");
    expect(sentBefore.map(({ payload }) => payload)).toEqual([bytes(1)]);
    expect(sentAfter.map(({ payload }) => payload)).toEqual([bytes(3)]);
    await Promise.all([first, third]);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("has not been heard of by the peer if its first piece was not sent", async () => {
    const peer = scripted();
    peer.transport.isCongested = true;
    const controller = new AbortController();
    const result = peer.call(patternBytes(200_000), { signal: controller.signal });
    await settled();

    controller.abort();
    peer.transport.drained();

    expect((await rejection(result)).code).toBe("cancelled");
    expect(await peer.sent()).toEqual([]);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("sends no more of its request", async () => {
    const peer = scripted();
    peer.transport.onWrite = () => (peer.transport.isCongested = true);
    const controller = new AbortController();
    const result = peer.call(patternBytes(500_000), { signal: controller.signal });
    const begun = await peer.sent();

    controller.abort();
    peer.transport.onWrite = undefined;
    peer.transport.drained();
    const rest = await peer.sent();
    peer.deliver(errorFrame(1, "cancelled", "given up"));

    expect((await rejection(result)).code).toBe("cancelled");
    expect(kinds(begun)).toEqual([FrameKind.Request]);
    expect(kinds(rest)).toEqual([FrameKind.Cancel]);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("drops the rest of an answer that has begun", async () => {
    const peer = scripted();
    const controller = new AbortController();
    const result = peer.call(bytes(1), { signal: controller.signal });
    const [first, ...rest] = split(FrameKind.Response, 1, patternBytes(300_000));
    peer.deliver(first as Uint8Array);

    controller.abort();
    peer.deliver(...rest);

    expect((await rejection(result)).code).toBe("cancelled");
    expect(peer.connection.inFlightCount).toBe(0);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("may end in the middle of its answer, when the peer hears of it", async () => {
    const peer = scripted();
    const controller = new AbortController();
    const result = peer.call(bytes(1), { signal: controller.signal });
    peer.deliver(split(FrameKind.Response, 1, patternBytes(300_000))[0] as Uint8Array);

    controller.abort();
    peer.deliver(errorFrame(1, "cancelled", "given up"));

    expect((await rejection(result)).code).toBe("cancelled");
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("is told to the peer once, however often the signal and the deadline come", async () => {
    using clock = new Clock();
    const peer = scripted();
    const controller = new AbortController();
    const result = peer.call(bytes(1), { signal: controller.signal, timeoutMs: 10 });
    await peer.sent();

    controller.abort();
    clock.advance(100);
    controller.abort();

    expect(kinds(await peer.sent())).toEqual([FrameKind.Cancel]);
    expect((await rejection(result)).code).toBe("cancelled");
  });
});

describe("a call whose deadline passes", () => {
  test("rejects with deadline_exceeded, and the peer is told", async () => {
    const peer = scripted();
    const result = peer.call(bytes(1), { timeoutMs: 2 });
    await peer.sent();

    const error = await rejection(result);

    expect(error.message).toBe(
      "[deadline_exceeded] test.Echo.Echo was not answered within timeoutMs 2",
    );
    expect(kinds(await peer.sent())).toEqual([FrameKind.Cancel]);
    expect(peer.connection.deadlineCount).toBe(0);
  });

  test("rejects while it waits for its turn, and is never sent", async () => {
    using clock = new Clock();
    const peer = scripted({ limits: { maxInFlightCalls: 1 } });
    const first = peer.call(bytes(1));
    const second = peer.call(bytes(2), { timeoutMs: 50 });

    clock.advance(49);
    const countBefore = peer.connection.inFlightCount;
    clock.advance(2);
    peer.deliver(response(1));

    expect((await rejection(second)).code).toBe("deadline_exceeded");
    await first;
    expect(countBefore).toBe(2);
    expect((await peer.sent()).map(({ payload }) => payload)).toEqual([bytes(1)]);
    expect([peer.connection.inFlightCount, peer.connection.deadlineCount]).toEqual([0, 0]);
  });

  test("has waited on the clock that runs since it was placed", async () => {
    using clock = new Clock();
    const peer = scripted({ limits: { maxInFlightCalls: 1 } });
    void peer.call(bytes(1));
    void peer.call(bytes(2), { timeoutMs: 50 }).catch(() => {});

    clock.advance(30);
    peer.deliver(response(1));
    const sent = await peer.sent();

    expect(sent.at(-1)?.payload).toEqual(new Uint8Array([...u32(20), 2]));
  });

  test("of timeoutMs 0 rejects with deadline_exceeded unless it was answered", async () => {
    const peer = scripted();

    expect((await rejection(peer.call(bytes(1), { timeoutMs: 0 }))).code).toBe("deadline_exceeded");
  });
});

describe("maxInFlightCalls 1 with 100 calls", () => {
  test("sends them one after the other, in the order in which they were placed", async () => {
    const peer = scripted({ limits: { maxInFlightCalls: 1 } });
    const results = Array.from({ length: 100 }, (_, i) => peer.call(bytes(i)));
    const sentAtOnce: number[] = [];

    for (let i = 0; i < 100; i++) {
      const sent = await peer.sent();
      sentAtOnce.push(sent.length);
      const { requestId, payload } = sent[0] as TestFrame;
      peer.deliver(response(requestId, payload));
    }

    expect(await Promise.all(results)).toEqual(Array.from({ length: 100 }, (_, i) => bytes(i)));
    expect(sentAtOnce).toEqual(Array.from({ length: 100 }, () => 1));
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("goes by the lower number of the two sides", async () => {
    const peer = scripted({ limits: { maxInFlightCalls: 5 }, peerLimits: { maxInFlightCalls: 3 } });
    for (let i = 0; i < 10; i++) void peer.call(bytes(i));

    expect(await peer.sent()).toHaveLength(3);
  });

  test("goes on when waiting calls cannot be encoded", async () => {
    const peer = scripted({ limits: { maxInFlightCalls: 1 } });
    const broken = {
      ...bytesWriter,
      size(): number {
        throw new PlugError("invalid_argument", "cannot encode");
      },
    };
    const first = peer.call(bytes(1));
    const failing = Array.from({ length: 50 }, () =>
      peer.connection.call(route, broken, bytes(), bytesReader, { timeoutMs: 1_000 }),
    );
    const last = peer.call(bytes(3));
    await peer.sent();

    peer.deliver(response(1, [1]));
    const errors = await Promise.all(failing.map(rejection));
    const sent = await peer.sent();
    peer.deliver(response((sent[0] as TestFrame).requestId, [3]));

    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(["invalid_argument"] as const));
    expect(sent.map(({ payload }) => payload)).toEqual([bytes(3)]);
    expect(await Promise.all([first, last])).toEqual([bytes(1), bytes(3)]);
    expect([peer.connection.inFlightCount, peer.connection.deadlineCount]).toEqual([0, 0]);
  });
});

test("a signal of 1,000 calls has no listener left when they are settled, however that was", async () => {
  const peer = scripted({ limits: { maxInFlightCalls: 700 } });
  const { signal } = new AbortController();
  const results = Array.from({ length: 1_000 }, (_, i) => peer.call(u32(i), { signal }));
  const listenerCount = getEventListeners(signal, "abort").length;

  for (let id = 1; id <= 300; id++) peer.deliver(response(id));
  for (let id = 301; id <= 400; id++) peer.deliver(errorFrame(id, "not_found", "x"));
  peer.connection.close(new PlugError("unavailable", "closed"));

  await Promise.allSettled(results);
  expect([listenerCount, getEventListeners(signal, "abort").length]).toEqual([1_000, 0]);
});

// The whole life of calls against a model: a peer that knows which ids are open, and what each call
// was told first.
describe("calls that are answered, cancelled and timed out in any order", () => {
  type Step =
    | { readonly do: "place"; readonly timeoutMs: number | undefined }
    | { readonly do: "cancel" | "answer" | "error"; readonly which: number }
    | { readonly do: "wait"; readonly ms: number };
  const nth = fc.nat(30);
  const steps = fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant("place"),
          timeoutMs: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
        }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("answer"), which: nth }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("error"), which: nth }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel"), which: nth }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("wait"), ms: fc.nat(30) }) },
    ) as fc.Arbitrary<Step>,
    { maxLength: 80 },
  );

  test("each settle with what came first, and an id is open for one call at a time", async () => {
    using clock = new Clock();
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const peer = scripted({ limits: { maxInFlightCalls: 4 } });
        const placed: { promise: Promise<unknown>; controller: AbortController }[] = [];
        // What each call must come to, and until when it may still come to something else.
        const expected: (string | undefined)[] = [];
        const deadlines: number[] = [];
        // Ids that the peer has been asked and has not answered, and which call each is.
        const open = new Map<number, number>();
        const faults: string[] = [];

        async function hear(): Promise<void> {
          for (const { kind, requestId, payload } of await peer.sent()) {
            if (kind === FrameKind.Cancel) {
              if (!open.has(requestId)) faults.push(`cancel of ${requestId}, which is not open`);
            } else {
              if (open.has(requestId)) faults.push(`${requestId} is used twice`);
              open.set(requestId, payload.at(-1) as number);
              if (open.size > 4) faults.push(`${open.size} calls at once`);
            }
          }
        }
        async function answer(which: number, how: "answer" | "error"): Promise<void> {
          const [id, call] = [...open][which] ?? [0, 0];
          if (id === 0) return;
          open.delete(id);
          expected[call] ??= how;
          peer.deliver(how === "answer" ? response(id, [call]) : errorFrame(id, "not_found", "no"));
          await hear();
        }

        for (const step of script) {
          if (step.do === "place") {
            const controller = new AbortController();
            const { timeoutMs } = step;
            deadlines.push(timeoutMs === undefined ? Infinity : clock.nowMs + timeoutMs);
            const terms = { signal: controller.signal, timeoutMs };
            placed.push({ promise: peer.call(bytes(placed.length), terms), controller });
          } else if (step.do === "wait") {
            clock.advance(step.ms);
            deadlines.forEach((at, i) => {
              if (at <= clock.nowMs) expected[i] ??= "deadline_exceeded";
            });
          } else if (step.do === "cancel") {
            if (placed[step.which] !== undefined) expected[step.which] ??= "cancelled";
            placed[step.which]?.controller.abort();
          } else {
            await answer(step.which, step.do);
          }
          await hear();
        }
        while (open.size > 0) await answer(0, "answer");

        const outcomes = await Promise.all(
          placed.map(({ promise }, i) =>
            promise.then(
              (value) => ((value as Uint8Array)[0] === i ? "answer" : "the answer of another call"),
              ({ code }: PlugError) => (code === "not_found" ? "error" : code),
            ),
          ),
        );
        expect(faults).toEqual([]);
        expect<unknown[]>(outcomes).toEqual(expected);
        expect([peer.connection.inFlightCount, peer.connection.deadlineCount]).toEqual([0, 0]);
        const listenerCounts = placed.map(
          ({ controller }) => getEventListeners(controller.signal, "abort").length,
        );
        expect(listenerCounts).toEqual(placed.map(() => 0));
        expect(peer.connection.closeReason).toBeUndefined();
      }),
      { numRuns: 1_000, seed: 14 },
    );
  });
});

test("an answer, an abort and a deadline in one tick settle the call once, with the first", async () => {
  const steps = ["answer", "abort", "due"] as const;
  const orders = steps.flatMap((a) =>
    steps.filter((b) => b !== a).map((b) => [a, b, steps.find((c) => c !== a && c !== b)]),
  );
  for (const order of orders) {
    using clock = new Clock();
    const peer = scripted();
    const controller = new AbortController();
    const outcomes = new Outcomes([
      peer.call(bytes(1), { signal: controller.signal, timeoutMs: 5 }),
    ]);
    await peer.sent();

    for (const step of order) {
      if (step === "answer") peer.deliver(response(1, [9]));
      else if (step === "abort") controller.abort();
      else clock.advance(10);
    }
    await settled();

    const first = { answer: undefined, abort: "cancelled", due: "deadline_exceeded" }[
      order[0] as "due"
    ];
    expect((outcomes.errors[0] as PlugError | undefined)?.code).toBe(first as never);
    expect(outcomes.settledCount).toBe(1);
    expect(peer.connection.inFlightCount).toBe(0);
  }
});
