import { describe, expect, test } from "bun:test";

import { CallClass } from "../../src/call/limits.ts";
import { IncomingCall, type Responder } from "../../src/call/incoming-call.ts";
import { HeldCalls } from "../../src/connection/held-calls.ts";
import { Reassembly } from "../../src/connection/reassembly.ts";
import { FrameFlag } from "../../src/frame/frame-header.ts";
import { thrown } from "../support/rejection.ts";

const responder: Responder = {
  respond() {},
  fail() {},
  defer() {},
  messages: () => undefined as never,
};
const streamFlags = FrameFlag.ServerStreams;

function newCall(id: number, callClass: CallClass = CallClass.Call): IncomingCall {
  const isNested = callClass === CallClass.Nested;
  const flags = callClass === CallClass.Stream ? streamFlags : 0;
  return new IncomingCall(responder, id, 0, 0, flags, 0, isNested);
}

const classes = [
  ["maxInFlightCalls", CallClass.Call],
  ["maxInFlightStreams", CallClass.Stream],
  ["maxNestedCalls", CallClass.Nested],
] as const;

describe("HeldCalls", () => {
  test.each(classes)(
    "has as many places as %s says, whatever the others hold",
    (name, callClass) => {
      const held = new HeldCalls([2, 2, 2]);
      let id = 0;
      for (const [, other] of classes) {
        if (other === callClass) continue;
        held.hold(newCall(++id, other));
        held.hold(newCall(++id, other));
      }
      held.hold(newCall(100, callClass));
      held.checkPlace(newCall(101, callClass));
      held.hold(newCall(101, callClass));

      const error = thrown(() => held.checkPlace(newCall(102, callClass)));

      expect(error.message).toBe(`[protocol_error] request 102 is one more than ${name} 2`);
      expect(held.size).toBe(6);
    },
  );

  test("counts a nested call that streams among the nested ones", () => {
    const held = new HeldCalls([1, 1, 2]);
    held.hold(newCall(1, CallClass.Stream));
    const nested = new IncomingCall(responder, 2, 0, 0, streamFlags, 0, true);

    held.checkPlace(nested);
    held.hold(nested);

    expect(thrown(() => held.checkPlace(newCall(3, CallClass.Stream))).code).toBe("protocol_error");
    held.checkPlace(newCall(3, CallClass.Nested));
  });

  test("refuses an id that is taken, of whatever class the two calls are", () => {
    const held = new HeldCalls([9, 9, 9]);
    held.hold(newCall(7));

    for (const [, callClass] of classes) {
      expect(thrown(() => held.checkPlace(newCall(7, callClass))).message).toBe(
        "[protocol_error] request id 7 is in use already",
      );
    }
  });

  test("holds a call once", () => {
    const held = new HeldCalls([2, 2, 2]);
    const call = newCall(1);

    expect(held.hold(call)).toBe(held.hold(call));
    held.checkPlace(newCall(2));
    expect(held.size).toBe(1);
  });

  test("lets go of a call once nothing of it is under way, and its place is free once", () => {
    const held = new HeldCalls([1, 1, 1]);
    const call = newCall(1);
    const entry = held.hold(call);
    const sizes: number[] = [];
    const settle = (): void => {
      held.settle(entry);
      sizes.push(held.size);
    };

    entry.isRunning = true;
    entry.request = new Reassembly(10, false);
    settle();
    entry.request = undefined;
    settle();
    entry.answer = {} as never;
    entry.isRunning = false;
    settle();
    entry.answer = undefined;
    settle();
    settle();

    expect(sizes).toEqual([1, 1, 1, 0, 0]);
    held.hold(newCall(2));
    expect(thrown(() => held.checkPlace(newCall(3))).code).toBe("protocol_error");
  });

  test("keeps a call that is answered until its caller sends no more messages", () => {
    const held = new HeldCalls([1, 1, 1]);
    const call = newCall(1, CallClass.Stream);
    call.isSourceEnded = false;
    call.isAnswered = true;
    const entry = held.hold(call);

    held.settle(entry);
    const before = held.size;
    call.isSourceEnded = true;
    held.settle(entry);

    expect([before, held.size]).toEqual([1, 0]);
  });

  test("takeAll empties it, and all places are free", () => {
    const held = new HeldCalls([1, 1, 1]);
    const entries = classes.map(([, callClass], i) => held.hold(newCall(i + 1, callClass)));

    expect(held.takeAll()).toEqual(entries);
    expect([held.size, held.takeAll()]).toEqual([0, []]);
    held.hold(newCall(9));
    for (const [, callClass] of classes.slice(1)) held.checkPlace(newCall(8, callClass));
  });
});
