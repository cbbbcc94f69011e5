// A plugin that ends by its own will: it answers what is in flight, and says that it takes no more.

import { describe, expect, test } from "bun:test";

import { testDesk } from "../peer/gen/peer_plug.ts";
import { pluginSide, TestDesk } from "../peer/fixture/test-desk.ts";
import { codeOf } from "../peer/fixture/line-log.ts";
import {
  booksAreEmpty,
  connectionOf,
  kinds,
  open,
  peerPlugin,
  processKinds,
} from "../peer/support/sides.ts";
import { protobuf, wire1Frame, wire1FrameIn } from "../support/handshake.ts";
import { leavingNothing } from "../support/plugins.ts";
import { eventually, isRunning } from "../support/processes.ts";
import { rejection } from "../support/rejection.ts";
import { runScript } from "../support/scripts.ts";
import { within } from "../support/within.ts";

describe.each(processKinds)("over %s, a plugin that is told to end by SIGTERM", (kind) => {
  test("answers what is in flight in full, refuses the rest, and exits with 0", () =>
    leavingNothing(async () => {
      const sides = await open(kind, { load: { maxInFlightCalls: 2 } });
      const { desk, handle, log } = sides;
      const goOn = Promise.withResolvers<void>();
      const streamed = Array.fromAsync(desk.chat(notes(goOn.promise)));
      const long = desk.ask("afterHold big 10000000");
      const nested = desk.ask("afterHold down 20 echo deep");
      await eventually("they are held", () => log.held.length === 2);
      const waiting = [desk.ask("echo a"), desk.ask("echo b")].map(rejection);
      const pid = handle.pid as number;
      process.kill(pid, "SIGTERM");

      // Those that wait for their turn hear of it, and those that come later.
      const refused = [...(await Promise.all(waiting)), await rejection(desk.ask("echo c"))];
      refused.push(await rejection(Array.fromAsync(desk.watch("count 1"))));
      for (const error of refused) {
        expect([error.code, error.retry, error.origin]).toEqual([
          "draining",
          "new_process",
          "peer",
        ]);
        expect(error.message).toContain("the plugin is ending: SIGTERM");
      }
      for (const held of log.held) held.resolve("go on");
      expect((await long).length).toBe(10_000_000);
      expect(await nested).toBe("deep");
      goOn.resolve();
      expect((await streamed).length).toBe(2_000);

      const reason = await within(5_000, handle.closed);
      expect(reason.code).toBe("plugin_exited");
      expect(reason.process).toMatchObject({ exitCode: 0, signal: null });
      expect(reason.message).toContain("exited with code 0, as it had said");
      expect(reason.message).toContain("while 0 calls were in flight");
      expect(isRunning(pid)).toBe(false);
      await booksAreEmpty(connectionOf(sides));
      expect((await rejection(desk.ask("echo x"))).code).toBe("plugin_exited");
    }));

  test("runs the calls that it has taken, also those that wait for a handler", () =>
    leavingNothing(async () => {
      const sides = await open(kind, { run: { maxRunningHandlers: 1 } });
      const { desk, handle, log } = sides;
      const first = desk.ask("afterHold echo first");
      const second = desk.ask("echo second");
      await eventually("the first runs", () => log.held.length === 1);
      await handle.ping(); // so it has read the second one
      process.kill(handle.pid as number, "SIGTERM");
      const connection = connectionOf(sides);
      await eventually("it drains", () => connection.refusal(false)?.code === "draining");
      log.held[0]?.resolve("go on");
      expect(await Promise.all([first, second])).toEqual(["first", "second"]);
      expect((await handle.closed).process?.exitCode).toBe(0);
    }));

  test("waits no longer than drainTimeoutMs", () =>
    leavingNothing(async () => {
      const sides = await open(kind, { run: { drainTimeoutMs: 50 } });
      const { desk, handle, log } = sides;
      const stuck = rejection(desk.ask("log hold"));
      await eventually("it is held", () => log.held.length === 1);
      process.kill(handle.pid as number, "SIGTERM");
      const reason = await within(3_000, handle.closed);
      expect([reason.code, reason.process?.exitCode]).toEqual(["plugin_exited", 0]);
      expect((await stuck).code).toBe("plugin_exited");
    }));

  test("refuses what was on its way when it ended", () =>
    leavingNothing(async () => {
      const { desk, handle } = await open(kind);
      expect(await desk.ask("busy 30")).toBe("busy");
      // Nothing is read while the plugin is busy, and then it ends.
      const onTheWay = [
        desk.ask("echo a"),
        desk.ask("echo b"),
        Array.fromAsync(desk.watch("count 1")),
      ].map((call) => call.then(() => "answered", codeOf));
      const outcomes = await Promise.all(onTheWay);
      // One that the plugin has read before it ended is answered; none is left in the dark.
      expect(["answered", "draining"]).toContain(outcomes[0] as string);
      expect(outcomes).not.toContain("plugin_exited");
      expect((await handle.closed).process?.exitCode).toBe(0);
    }));
});

async function* notes(goOn: Promise<void>) {
  yield { text: "open" };
  for (let i = 0; i < 1_000; i++) yield { text: `${i}` };
  await goOn;
  for (let i = 0; i < 1_000; i++) yield { text: `${i}` };
}

test("a plugin of a host built with the Go original answers the call in flight, and ends", async () => {
  await using plugin = runScript(peerPlugin, { stdin: "pipe" });
  const say = (id: number, payload: Uint8Array): void => {
    plugin.stdin?.write(wire1Frame(id, payload));
    plugin.stdin?.flush();
  };
  say(
    0x00ff,
    protobuf([
      [1, 1],
      [2, "magic"],
    ]),
  );
  await eventually("the handshake", () => wire1FrameIn(plugin.stdout) !== undefined);
  say(0, protobuf([[1, "pause"]]));
  await eventually("it is at work", () => plugin.stderr.includes("pausing"));
  plugin.kill("SIGTERM");
  expect(await plugin.ends()).toBe(0);
  const { rest } = wire1FrameIn(plugin.stdout) as { rest: Buffer };
  expect(wire1FrameIn(rest)?.payload.toString()).toContain("paused");
});

describe.each(kinds)("over %s, a plugin whose signal aborts", (kind) => {
  test("takes no new calls, says why, and ends", () =>
    leavingNothing(async () => {
      const { desk, handle, log } = await open(kind);
      const inFlight = desk.ask("log hold");
      await eventually("it is held", () => log.held.length === 1);
      expect(await desk.ask("end of shift")).toBe("ending");
      const error = await rejection(desk.ask("echo x"));
      expect(error.code).toBe("draining");
      expect(error.message).toContain("the plugin is ending: of shift");
      log.held[0]?.resolve("held");
      expect(await inFlight).toBe("held");
      await within(5_000, handle.closed);
      await handle.close();
    }));
});

test("in memory, no call waits longer than the drainTimeoutMs of the side that ends", () =>
  leavingNothing(async () => {
    const { desk, handle, log } = await open("memory", { run: { drainTimeoutMs: 50 } });
    const stuck = rejection(desk.ask("log hold"));
    await eventually("it is held", () => log.held.length === 1);
    expect(await desk.ask("end")).toBe("ending");
    expect((await within(2_000, stuck)).code).toBe("plugin_exited");
    await within(2_000, handle.closed);
  }));

test("a plugin whose signal has aborted already takes no calls", () =>
  leavingNothing(async () => {
    const run = { signal: AbortSignal.abort("too late") };
    const desk = await testDesk(new TestDesk(pluginSide(() => {})), { run });
    const error = await rejection(desk.ask("echo x"));
    expect(["draining", "unavailable"]).toContain(error.code);
    await desk[Symbol.asyncDispose]();
  }));
