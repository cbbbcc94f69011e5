// What is to be done while a caller blocks.

import { expect, test } from "bun:test";

import { blocked } from "../../src/call/blocked.ts";

test("what is added is run in order, and by whoever blocks within it", () => {
  const order: string[] = [];
  blocked.enter();
  blocked.add(() => {
    order.push("first");
    // It blocks in its turn.
    blocked.enter();
    blocked.run();
    blocked.leave();
    order.push("first is through");
  });
  blocked.add(() => void order.push("second"));

  expect(blocked.run()).toBe(true);
  expect(blocked.run()).toBe(false);
  blocked.leave();
  expect(order).toEqual(["first", "second", "first is through"]);
  expect(blocked.isBlocked).toBe(false);
});

test("what is left over when nobody blocks any more is run soon", async () => {
  let isRun = false;
  blocked.enter();
  blocked.add(() => {
    isRun = true;
  });
  blocked.leave();
  expect(isRun).toBe(false);
  await null;
  expect(isRun).toBe(true);
});
