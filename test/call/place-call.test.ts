import { getEventListeners } from "node:events";

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import type { CallTerms, OutgoingCall } from "../../src/call/outgoing-call.ts";
import { placeCall, WaitingCalls } from "../../src/call/place-call.ts";
import { bytes, bytesReader, bytesWriter, route } from "../support/payloads.ts";
import { rejection } from "../support/rejection.ts";

function place(terms: CallTerms | undefined, refusal?: PlugError) {
  const begun: OutgoingCall[] = [];
  const starter = {
    owns: () => false,
    refusal: () => refusal,
    begin: (call: OutgoingCall) => void begun.push(call),
    abandon: (call: OutgoingCall, error: PlugError) => call.reject(error),
    settled() {},
  };
  const promise = placeCall(starter, route, bytesWriter, bytes(1), bytesReader, terms);
  return { promise, begun };
}

describe("placeCall", () => {
  test("gives each call a promise of its own", async () => {
    const placed = [0, 1, 2].map(() => place(undefined));

    placed.forEach(({ begun }, i) => begun[0]?.resolve(bytes(i)));

    const values = await Promise.all(placed.map(({ promise }) => promise));
    expect(values).toEqual([bytes(0), bytes(1), bytes(2)]);
  });

  test("rejects with the refusal, and begins nothing", async () => {
    const refusal = new PlugError("unavailable", "closed");
    const { promise, begun } = place(undefined, refusal);

    expect(await rejection(promise)).toBe(refusal);
    expect(begun).toEqual([]);
  });

  test("rejects with cancelled if the signal is aborted, and begins nothing", async () => {
    const reason = new Error("too late");
    const signal = AbortSignal.abort(reason);
    const { promise, begun } = place({ signal });

    const error = await rejection(promise);

    expect([error.code, error.cause]).toEqual(["cancelled", reason]);
    expect(begun).toEqual([]);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test.each([-1, -0.001, 2 ** 31, NaN, Infinity, "500" as never, null as never])(
    "rejects timeoutMs %p with invalid_argument, naming the range and the value",
    async (timeoutMs) => {
      const { signal } = new AbortController();
      const { promise, begun } = place({ timeoutMs, signal });

      expect(begun).toEqual([]);
      expect((await rejection(promise)).message).toBe(
        `[invalid_argument] timeoutMs must be a number from 0 to 2^31 - 1, got ${timeoutMs}`,
      );
      expect(getEventListeners(signal, "abort")).toEqual([]);
    },
  );

  test("rejects a call with timeoutMs 0 with deadline_exceeded, and does not begin it", async () => {
    const { begun, promise } = place({ timeoutMs: 0 });

    expect((await rejection(promise)).code).toBe("deadline_exceeded");
    expect(begun).toEqual([]);
  });

  test.each([0.5, 2 ** 31 - 1])("takes timeoutMs %p", (timeoutMs) => {
    const { begun } = place({ timeoutMs });

    expect(begun[0]?.hasDeadline).toBe(true);
  });
});

describe("WaitingCalls", () => {
  function three() {
    const waiting = new WaitingCalls();
    const calls = [0, 1, 2].map(() => place(undefined).begun[0] as OutgoingCall);
    for (const call of calls) waiting.add(call);
    return { waiting, calls };
  }

  test("takes the one that has waited longest", () => {
    const { waiting, calls } = three();

    expect([0, 1, 2, 3].map(() => waiting.take())).toEqual([...calls, undefined]);
    expect(waiting.count).toBe(0);
  });

  test("leaves out what was removed", () => {
    const { waiting, calls } = three();

    waiting.remove(calls[1] as OutgoingCall);

    expect(waiting.count).toBe(2);
    expect(waiting.takeAll()).toEqual([calls[0], calls[2]] as OutgoingCall[]);
    expect(waiting.count).toBe(0);
  });
});
