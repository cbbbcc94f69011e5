import { describe, expect, test } from "bun:test";

import { heapStats } from "bun:jsc";
import { CreditPool } from "../../src/stream/credit.ts";
import { settled } from "../support/fake-transport.ts";
import { rejection, thrown } from "../support/rejection.ts";
import { broken, newReceiver, quarterBytes, windowBytes } from "../support/streams.ts";

const done = { done: true, value: undefined } as const;
const of = (value: string) => ({ done: false, value }) as const;

describe("a MessageReceiver", () => {
  test("gives messages in their order, and then its end, again and again", async () => {
    const { receiver } = newReceiver();
    receiver.push("a", 1);
    receiver.push("b", 1);
    receiver.end();

    const results = [await receiver.next(), await receiver.next(), await receiver.next()];

    expect(results).toEqual([of("a"), of("b"), done]);
    expect(await receiver.next()).toEqual(done);
  });

  test("gives concurrent next() calls one message each, in their order", async () => {
    const { receiver } = newReceiver();
    const results = Promise.all([receiver.next(), receiver.next(), receiver.next()]);

    receiver.push("a", 1);
    receiver.push("b", 1);
    receiver.end();

    expect(await results).toEqual([of("a"), of("b"), done]);
  });

  test("gives what has come before an error, then the error once, then its end", async () => {
    const { receiver } = newReceiver();
    receiver.push("a", 1);
    receiver.fail(broken);

    expect(await receiver.next()).toEqual(of("a"));
    expect(await rejection(receiver.next())).toBe(broken);
    expect(await receiver.next()).toEqual(done);
  });

  test("gives an error to the first of those that wait, and the end to the others", async () => {
    const { receiver } = newReceiver();
    const [first, second] = [receiver.next(), receiver.next()];

    receiver.fail(broken);

    expect(await rejection(first)).toBe(broken);
    expect([await second, await receiver.next()]).toEqual([done, done]);
  });

  test("ends once: what is said after the end or an error changes nothing", async () => {
    const [ended, failed] = [newReceiver().receiver, newReceiver().receiver];
    ended.end();
    ended.fail(broken);
    ended.push("late", 1);
    failed.fail(broken);
    failed.end();
    failed.push("late", 1);

    expect([await ended.next(), await ended.next()]).toEqual([done, done]);
    expect(await rejection(failed.next())).toBe(broken);
    expect(await failed.next()).toEqual(done);
  });

  test.each(["return", "throw"] as const)(
    "%s() while next() waits ends both, and tells the sender once",
    async (method) => {
      const test = newReceiver();
      const waiting = test.receiver.next();

      const left = await test.receiver[method]();
      await test.receiver.return();

      expect([left, await waiting, await test.receiver.next()]).toEqual([done, done, done]);
      expect(test.cancelCount).toBe(1);
    },
  );

  test("return() drops what waits, and takes nothing more", async () => {
    const { receiver, pool, credits } = newReceiver();
    receiver.push("a", 1);
    await receiver.return();
    receiver.push("b", 1);

    expect([receiver.count, await receiver.next()]).toEqual([0, done]);
    expect([pool.outstandingBytes, credits]).toEqual([0, []]);
  });

  test("return() after the end or an error tells the sender nothing", async () => {
    const [ended, failed] = [newReceiver(), newReceiver()];
    ended.receiver.end();
    failed.receiver.fail(broken);

    await ended.receiver.return();
    await failed.receiver[Symbol.asyncDispose]();

    expect([ended.cancelCount, failed.cancelCount]).toEqual([0, 0]);
    expect(await failed.receiver.next()).toEqual(done);
  });

  test("discard() drops what waits, and the error comes next", async () => {
    const { receiver } = newReceiver();
    receiver.push("a", 1);
    receiver.discard();
    receiver.fail(broken);

    expect(await rejection(receiver.next())).toBe(broken);
  });

  test("gives credit back when half the window has been taken", async () => {
    const { receiver, credits, pool } = newReceiver();
    for (const text of ["a", "b", "c", "d"]) receiver.push(text, quarterBytes);
    const seen: number[][] = [];
    for (let i = 0; i < 4; i++) {
      await receiver.next();
      seen.push([...credits]);
    }

    expect(seen).toEqual([[], [512], [512], [512, 512]]);
    expect(pool.outstandingBytes).toBe(0);
  });

  test("gives all credit back when its reader waits", async () => {
    const { receiver, credits } = newReceiver();
    receiver.push("a", 10);
    await receiver.next();
    const before = [...credits];
    void receiver.next();

    expect([before, credits]).toEqual([[], [22]]);
  });

  test("gives credit back for a message at once if another next() waits for the one behind it", () => {
    // The connection's window may be used up by that message alone.
    const { receiver, credits } = newReceiver(new CreditPool(64));
    void receiver.next();
    void receiver.next();

    receiver.push("a", quarterBytes);
    receiver.push("b", quarterBytes);

    expect(credits).toEqual([windowBytes / 4]);
  });

  test("goes on to give credit back after the end of its messages, until all are taken", async () => {
    const { receiver, credits, pool } = newReceiver();
    for (const text of ["a", "b", "c"]) receiver.push(text, quarterBytes);
    const { outstandingBytes } = pool;
    receiver.end();

    expect(pool.outstandingBytes).toBe(outstandingBytes);
    expect(await Array.fromAsync(receiver)).toEqual(["a", "b", "c"]);
    expect(credits.reduce((sum, credit) => sum + credit, 0)).toBe(outstandingBytes);
    expect(pool.outstandingBytes).toBe(0);
  });

  test("gives no credit back when the call is over, whatever is taken then", async () => {
    const { receiver, credits, pool } = newReceiver();
    for (const text of ["a", "b", "c", "d"]) receiver.push(text, quarterBytes);
    receiver.end();
    receiver.release();

    expect(await Array.fromAsync(receiver)).toEqual(["a", "b", "c", "d"]);
    expect([credits, pool.outstandingBytes]).toEqual([[], 0]);
  });

  test("refuses a message that its window has no credit for", () => {
    const { receiver } = newReceiver(new CreditPool(1_000_000));
    receiver.push("a", windowBytes - 13);
    receiver.start(3, false); // one byte is left
    receiver.push("b", 0);

    expect(thrown(() => receiver.start(3, false)).message).toBe(
      "[protocol_error] a message for request id 3 came without credit",
    );
    expect(thrown(() => receiver.start(3, true)).code).toBe("protocol_error");
  });

  test("refuses a message that the connection has no credit for, if it has one outstanding", () => {
    const pool = new CreditPool(windowBytes);
    const { receiver } = newReceiver(pool);
    pool.charge(windowBytes);
    receiver.start(3, false);
    receiver.push("a", 0);

    expect(thrown(() => receiver.start(3, false)).code).toBe("protocol_error");
  });

  test("takes one in pieces all the same: it may have been overtaken", () => {
    const pool = new CreditPool(windowBytes);
    const { receiver } = newReceiver(pool);
    receiver.push("a", 0);
    pool.charge(windowBytes);

    expect(receiver.start(3, true)).toBeUndefined();
  });

  test("keeps no memory of a million messages, though its reader never catches up", async () => {
    const { receiver } = newReceiver(new CreditPool(Infinity));
    const text = "message";
    receiver.push(text, 0);
    const run = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        receiver.push(text, 0);
        await receiver.next();
      }
    };
    await run(10_000);
    const before = heapBytes();
    await run(1_000_000);
    await settled();

    expect(receiver.count).toBe(1);
    expect(heapBytes() - before).toBeLessThan(2 * 1024 * 1024);
  }, 15_000);
});

function heapBytes(): number {
  Bun.gc(true);
  return heapStats().heapSize;
}
