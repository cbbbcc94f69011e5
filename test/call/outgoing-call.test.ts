import { getEventListeners } from "node:events";

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import fc from "fast-check";
import { type CallTerms, OutgoingCall } from "../../src/call/outgoing-call.ts";
import { bytes, bytesReader, bytesWriter, route } from "../support/payloads.ts";

function newCall(terms?: CallTerms) {
  const settled: unknown[] = [];
  const abandoned: PlugError[] = [];
  const call: OutgoingCall = new OutgoingCall(
    {
      owns: () => false,
      abandon(given, error) {
        abandoned.push(error);
        given.reject(error);
      },
      settled() {},
    },
    route,
    bytesWriter as never,
    bytes(1),
    bytesReader,
    terms,
    (value) => settled.push(value),
    (error) => settled.push(error),
  );
  return { call, settled, abandoned };
}

describe("OutgoingCall", () => {
  test("settles once, with what comes first, whatever comes and in whatever order", () => {
    type Settler = (call: OutgoingCall, controller: AbortController, nth: number) => void;
    const settlers: Record<string, Settler> = {
      answer: (call, _, nth) => call.resolve(nth),
      error: (call) => call.reject(new PlugError("aborted", "x")),
      abort: (_, controller) => controller.abort(),
      due: (call) => call.due(),
    };
    const firstOutcome: Record<string, (value: unknown) => boolean> = {
      answer: (value) => value === 0,
      error: (value) => (value as PlugError).code === "aborted",
      abort: (value) => (value as PlugError).code === "cancelled",
      due: (value) => (value as PlugError).code === "deadline_exceeded",
    };
    const order = fc.array(fc.constantFrom(...Object.keys(settlers)), { minLength: 1 });
    fc.assert(
      fc.property(order, (names) => {
        const controller = new AbortController();
        const { call, settled } = newCall({ signal: controller.signal, timeoutMs: 1_000 });

        names.forEach((name, nth) => (settlers[name] as Settler)(call, controller, nth));

        expect(settled).toHaveLength(1);
        expect(firstOutcome[names[0] as string]?.(settled[0])).toBe(true);
        expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
      }),
      { numRuns: 500, seed: 9 },
    );
  });

  test("listens to its signal until it is settled, and no longer", () => {
    const { signal } = new AbortController();
    const { call } = newCall({ signal });
    const before = getEventListeners(signal, "abort").length;

    call.resolve(1);

    expect([before, getEventListeners(signal, "abort").length]).toEqual([1, 0]);
  });

  test("lets go of its request when it is settled", () => {
    const { call } = newCall();

    call.resolve(1);

    expect(call.value).toBeUndefined();
  });

  test("that is cancelled has the reason of the signal as its cause", () => {
    const controller = new AbortController();
    const { settled } = newCall({ signal: controller.signal });
    const reason = new Error("the user went away");

    controller.abort(reason);

    const error = settled[0] as PlugError;
    expect(error.message).toBe("[cancelled] test.Echo.Echo was cancelled by its caller");
    expect(error.cause).toBe(reason);
  });

  test("that is late names its timeoutMs", () => {
    const { call, settled } = newCall({ timeoutMs: 250 });

    call.due();

    expect((settled[0] as PlugError).message).toBe(
      "[deadline_exceeded] test.Echo.Echo was not answered within timeoutMs 250",
    );
  });

  test("has a deadline if it has a timeoutMs, of 0 too", () => {
    expect([undefined, 0, 1].map((timeoutMs) => newCall({ timeoutMs }).call.hasDeadline)).toEqual([
      false,
      true,
      true,
    ]);
  });
});
