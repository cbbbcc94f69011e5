// Our host with a plugin in Go, which takes one call at a time: waiting, deadlines, giving up.

import { expect, test } from "bun:test";

import { pluginOf } from "bun-plug";

import { loadEverything, loadEverythingSync } from "../go/gen/interop_plug.ts";
import { describeGo, goBinary } from "../support/go-peer.ts";
import { rejection, thrown } from "../support/rejection.ts";
import { spanOf, within } from "../support/within.ts";

const load = async () => await loadEverything(await goBinary("everything"), { logger: false });

// What a timer may be late on a busy machine.
const slackMs = 250;

describeGo("a call to a Go plugin", () => {
  test("waits for the ones before it", async () => {
    await using everything = await load();
    const order: string[] = [];
    await Promise.all([
      everything.sleep(60).then(() => order.push("slow")),
      everything.not(true).then(() => order.push("quick")),
      everything.sleep(0).then(() => order.push("last")),
    ]);
    expect(order).toEqual(["slow", "quick", "last"]);
  });

  test("exceeds its deadline while it waits, and is never sent", async () => {
    await using everything = await load();
    const slow = everything.sleep(400);
    const waiting = everything.next(100n, { timeoutMs: 50 });
    const startedAt = performance.now();
    const error = await rejection(waiting);
    expect(error).toMatchObject({ code: "deadline_exceeded", origin: "local" });
    expect(error.message).toContain("timeoutMs 50");
    expect(performance.now() - startedAt).toBeLessThan(300);
    expect(await slow).toBe(400);
    expect(await everything.next(1n)).toBe(1n);
  });

  test("is cancelled while it waits, and is never sent", async () => {
    await using everything = await load();
    const giveUp = new AbortController();
    const slow = everything.sleep(100);
    const waiting = everything.next(100n, { signal: giveUp.signal });
    giveUp.abort("no need");
    const error = await rejection(waiting);
    expect(error).toMatchObject({ code: "cancelled", origin: "local", cause: "no need" });
    expect(await slow).toBe(100);
    expect(await everything.next(1n)).toBe(1n);
  });

  test("with a signal that has aborted is not sent", async () => {
    await using everything = await load();
    const { writeCount } = pluginOf(everything).stats();
    const error = await rejection(everything.next(100n, { signal: AbortSignal.abort() }));
    expect(error.code).toBe("cancelled");
    expect(pluginOf(everything).stats().writeCount).toBe(writeCount);
    expect(await everything.next(1n)).toBe(1n);
  });

  test("is cancelled at once while its handler runs, and keeps its place on the wire", async () => {
    await using everything = await load();
    const giveUp = new AbortController();
    const slow = everything.sleep(300, { signal: giveUp.signal });
    const next = Promise.all([everything.sleep(1), everything.join(["a", "b"], "-")]);
    setTimeout(() => giveUp.abort(), 20);
    const error = await rejection(slow);
    expect(error.code).toBe("cancelled");
    // The next ones wait for the answer that nobody wants, and get their own.
    expect(await within(1_500, next)).toEqual([1, "a-b"]);
  });

  test("exceeds its deadline while its handler runs, and keeps its place on the wire", async () => {
    await using everything = await load();
    const slow = everything.sleep(300, { timeoutMs: 30 });
    const next = everything.sleep(2);
    const error = await rejection(slow);
    expect(error.code).toBe("deadline_exceeded");
    // The same method: nothing but the order tells the answers apart.
    expect(await within(1_500, next)).toBe(2);
  });

  test("does not count any more once it was given up", async () => {
    await using everything = await load();
    const error = await rejection(everything.sleep(200, { timeoutMs: 20 }));
    expect(error.code).toBe("deadline_exceeded");
    expect(pluginOf(everything).stats().inFlightCount).toBe(0);
    expect(await everything.sleep(3)).toBe(3);
  });

  test("gets its own answer, whichever of the calls around it are given up", async () => {
    await using everything = await load();
    const outcomes = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const giveUp = new AbortController();
        // Each third is given up: at once, while it waits, or while it runs.
        if (i % 3 === 0) setTimeout(() => giveUp.abort(), i / 3);
        const [answer, own] = await Promise.all([
          everything.sleep(i % 4, { signal: giveUp.signal }).catch(({ code }) => code as string),
          everything.addInt32(i, 0),
        ]);
        return { own, answer };
      }),
    );
    const wrong = outcomes.filter(
      ({ own, answer }, i) => own !== i || (answer !== i % 4 && answer !== "cancelled"),
    );
    expect(wrong).toEqual([]);
    expect(outcomes.filter((_, i) => i % 3 !== 0).map(({ answer }) => answer)).not.toContain(
      "cancelled",
    );
    expect(outcomes.map(({ answer }) => answer)).toContain("cancelled");
  });

  test("has its deadline, however many stand before it", async () => {
    await using everything = await load();
    const slow = everything.sleep(200);
    const span = spanOf(
      Promise.allSettled(
        Array.from({ length: 1_000 }, () => everything.not(true, { timeoutMs: 40 })),
      ),
    );
    expect(await span).toBeLessThan(40 + slackMs);
    expect(await slow).toBe(200);
    expect(await everything.not(true)).toBe(false);
  });

  test("is answered although its deadline is near, if the answer comes first", async () => {
    await using everything = await load();
    for (let i = 0; i < 100; i++) expect(await everything.sleep(1, { timeoutMs: 5_000 })).toBe(1);
  });
});

describeGo("a call to a Go plugin that blocks", () => {
  test("returns its answer, and throws its errors and deadlines", async () => {
    const everything = loadEverythingSync(await goBinary("everything"), { logger: false });
    expect(everything.not(true)).toBe(false);
    expect(thrown(() => everything.sleep(400, { timeoutMs: 30 })).code).toBe("deadline_exceeded");
    // Behind the one that was given up, which keeps its place.
    expect(everything.next(1n)).toBe(1n);
    expect(everything.next(1n)).toBe(2n);
    expect(pluginOf(everything).stats()).toMatchObject({ wire: 1, transport: "stdio" });
    await pluginOf(everything).close();
  });

  test("needs a load that blocks", async () => {
    await using everything = await load();
    expect(thrown(() => pluginOf(everything).sync.not(true)).code).toBe("unimplemented");
    expect(await everything.not(true)).toBe(false);
  });
});
