import { describe, expect, test } from "bun:test";

import { CreditPool, SendPool } from "../../src/stream/credit.ts";

describe("a CreditPool", () => {
  test("is exhausted once as much is outstanding as its window has, and not before", () => {
    const pool = new CreditPool(100);

    const seen = [99, 1, 50].map((byteCount) => {
      pool.charge(byteCount);
      return [pool.outstandingBytes, pool.isExhausted];
    });

    expect(seen).toEqual([
      [99, false],
      [100, true],
      [150, true],
    ]);
  });

  test("wakes those that wait, in their order, each once, when there is credit again", () => {
    const pool = new CreditPool(100);
    const woken: string[] = [];
    pool.charge(150);
    for (const name of ["a", "b", "c"]) pool.wait(() => woken.push(name));

    pool.release(50);
    const whileExhausted = [...woken];
    pool.release(1);
    pool.release(1);

    expect(whileExhausted).toEqual([]);
    expect(woken).toEqual(["a", "b", "c"]);
  });

  test("wakes no more of them than until it is exhausted again", () => {
    const pool = new CreditPool(100);
    const woken: string[] = [];
    pool.charge(100);
    for (const name of ["a", "b"]) {
      pool.wait(() => {
        woken.push(name);
        pool.charge(60);
      });
    }

    pool.release(50);

    expect(woken).toEqual(["a"]);
  });

  test("does not wake one that waits no longer", () => {
    const pool = new CreditPool(100);
    const woken: string[] = [];
    const wake = (): void => void woken.push("a");
    pool.charge(100);
    pool.wait(wake);
    pool.stopWaiting(wake);

    pool.release(100);

    expect(woken).toEqual([]);
  });
});

describe("a SendPool", () => {
  test("lets streams send 64 KiB in one turn of the event loop, and more in the next", async () => {
    const pool = new SendPool(1_000_000);
    const woken: string[] = [];
    pool.charge(64 * 1024 - 1);
    const early = pool.isExhausted;
    pool.charge(1);
    pool.wait(() => woken.push("a"));
    pool.release(64 * 1024);
    const inTurn = [pool.isExhausted, woken.length];

    await new Promise((resolve) => setImmediate(resolve));

    expect([early, ...inTurn]).toEqual([false, true, 0]);
    expect([pool.isExhausted, woken]).toEqual([false, ["a"]]);
  });

  test("wakes nobody in the next turn if its window is used up", async () => {
    const pool = new SendPool(1_000);
    const woken: string[] = [];
    pool.charge(1_000);
    pool.wait(() => woken.push("a"));

    await new Promise((resolve) => setImmediate(resolve));

    expect([pool.isExhausted, woken]).toEqual([true, []]);
  });
});
