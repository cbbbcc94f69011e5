// close(): what is in flight is finished, in both directions; what is new is refused.

import { describe, expect, test } from "bun:test";

import { keptLines, leavingNothing } from "../support/plugins.ts";
import { eventually } from "../support/processes.ts";
import { rejection } from "../support/rejection.ts";
import { spanOf, within } from "../support/within.ts";
import { LineLog } from "../peer/fixture/line-log.ts";
import { Logger } from "../peer/gen/peer_plug.ts";
import { open, processKinds } from "../peer/support/sides.ts";

describe.each(["memory", "ring", "socket"] as const)("over %s, close()", (kind) => {
  test("lets a call in flight finish, and refuses new ones on both sides", () =>
    leavingNothing(async () => {
      const { desk, handle, log } = await open(kind);
      const inFlight = desk.ask("drained");
      await eventually("it is held", () => log.held.length === 1);
      const closing = handle.close();

      const refused = await rejection(desk.ask("echo x"));
      expect([refused.code, refused.retry]).toEqual(["draining", "new_process"]);
      expect((await rejection(Array.fromAsync(desk.watch("count 1")))).code).toBe("draining");
      log.held[0]?.resolve("go on");
      // The plugin's own new call is refused; the one that it makes for the call in flight is not.
      expect(await inFlight).toBe("draining 1");
      await within(5_000, closing);
      expect((await handle.closed).code).toBe("unavailable");
      expect(log.lines).toEqual(["nested"]);
    }));

  test("lets calls nest that a call in flight needs, back and forth", () =>
    leavingNothing(async () => {
      const { desk, handle, log } = await open(kind);
      const inFlight = desk.ask("afterHold down 20 mirror a b c");
      await eventually("it is held", () => log.held.length === 1);
      const closing = handle.close();
      log.held[0]?.resolve("go on");
      expect(await inFlight).toBe("a b c");
      await within(5_000, closing);
    }));

  test("lets streams in flight go on to their end, both ways", () =>
    leavingNothing(async () => {
      const { desk, handle } = await open(kind);
      const goOn = Promise.withResolvers<void>();
      async function* notes() {
        yield { text: "open" };
        yield { text: "early" };
        await goOn.promise;
        for (let i = 0; i < 1_000; i++) yield { text: `${i}` };
      }
      const answers = desk.chat(notes())[Symbol.asyncIterator]();
      expect((await answers.next()).value?.text).toBe("early");
      const closing = handle.close();
      goOn.resolve();
      let count = 0;
      for await (const { text } of { [Symbol.asyncIterator]: () => answers }) {
        expect(text).toBe(`${count++}`);
      }
      expect(count).toBe(1_000);
      await within(5_000, closing);
    }));

  test("waits no longer than drainTimeoutMs, and tells both ends of what is cut off", () =>
    leavingNothing(async () => {
      const { desk, handle, log } = await open(kind, { load: { drainTimeoutMs: 50 } });
      const inFlight = rejection(desk.ask("log wait"));
      await eventually("it waits", () => log.events.length === 1);
      expect(await spanOf(handle.close())).toBeGreaterThanOrEqual(45);
      const error = await inFlight;
      expect([error.code, error.message.includes("drainTimeoutMs is 50")]).toEqual([
        "cancelled",
        true,
      ]);
      expect(log.events).toEqual(["waiting", "wait unavailable"]);
    }));

  test("an object of the host is called for a call in flight, and for nothing else", () =>
    leavingNothing(async () => {
      const { desk, handle, log } = await open(kind);
      const own = new LineLog();
      await desk.hand("keep k", handle.refer(Logger, own));
      const inFlight = desk.ask("afterHold use k log x");
      await eventually("it is held", () => log.held.length === 1);
      const closing = handle.close();
      log.held[0]?.resolve("go on");
      expect(await inFlight).toBe("1");
      await within(5_000, closing);
      expect(own.lines).toEqual(["x"]);
    }));
});

test.each(processKinds)("over %s, a long answer of the host arrives before it closes", (kind) =>
  leavingNothing(async () => {
    const { logger, texts } = keptLines();
    const { desk, handle, log } = await open(kind, { load: { logger } });
    expect(await desk.ask("report")).toBe("reporting");
    await eventually("it is held", () => log.held.length === 1);
    const closing = handle.close();
    log.held[0]?.resolve("x".repeat(10_000_000));
    await within(5_000, closing);
    expect(texts()).toEqual(["got 10000000"]);
  }),
);

test.each(processKinds)("over %s, a plugin that dies while it is closed delays nobody", (kind) =>
  leavingNothing(async () => {
    const { desk, handle, log } = await open(kind, { load: { drainTimeoutMs: 60_000 } });
    expect(await desk.ask("report")).toBe("reporting");
    await eventually("it is held", () => log.held.length === 1);
    // Frozen, it reads nothing of a long answer.
    process.kill(handle.pid as number, "SIGSTOP");
    const closing = handle.close();
    log.held[0]?.resolve("x".repeat(10_000_000));
    await Bun.sleep(0);
    process.kill(handle.pid as number, "SIGKILL");
    await within(5_000, closing);
    expect((await handle.closed).code).toBe("plugin_exited");
  }),
);
