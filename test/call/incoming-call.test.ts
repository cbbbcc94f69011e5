import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import { IncomingCall } from "../../src/call/incoming-call.ts";

function newCall(deadlineAt = 0): IncomingCall {
  const responder = { respond() {}, fail() {}, defer() {}, messages: () => undefined as never };
  const call = new IncomingCall(responder, 7, 2, deadlineAt);
  call.service = "test.Echo";
  call.method = "Echo";
  return call;
}

describe("IncomingCall", () => {
  test("has one signal, which aborts with the reason", () => {
    const call = newCall();
    const { signal } = call;
    const reason = new PlugError("cancelled", "x");

    call.abort(reason);

    expect(call.signal).toBe(signal);
    expect([signal.aborted, signal.reason]).toEqual([true, reason]);
  });

  test("gives a signal that is aborted already to whoever asks for it late", () => {
    const call = newCall();
    const reason = new PlugError("cancelled", "x");
    call.abort(reason);

    expect([call.signal.aborted, call.signal.reason]).toEqual([true, reason]);
  });

  test("keeps the first reason", () => {
    const call = newCall();
    const first = new PlugError("cancelled", "x");
    call.abort(first);
    call.abort(new PlugError("unavailable", "y"));

    expect(call.signal.reason).toBe(first);
  });

  test("aborts with deadline_exceeded when it is due, naming the method", () => {
    const call = newCall();

    call.due();

    expect((call.signal.reason as PlugError).message).toBe(
      "[deadline_exceeded] test.Echo.Echo has passed its deadline",
    );
  });

  test("timeoutMs is what is left, at least 0, and undefined without a deadline", () => {
    const none = newCall().timeoutMs;
    const past = newCall(performance.now() - 5).timeoutMs;
    const left = newCall(performance.now() + 60_000).timeoutMs as number;

    expect([none, past]).toEqual([undefined, 0]);
    expect(left).toBeGreaterThan(50_000);
    expect(left).toBeLessThanOrEqual(60_000);
  });
});
