// Calls that are made for calls, back and forth: to any depth, and never for longer than those.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { leavingNothing } from "../support/plugins.ts";
import { eventually } from "../support/processes.ts";
import { rejection } from "../support/rejection.ts";
import { within } from "../support/within.ts";
import { codeOf, textsOf } from "./fixture/line-log.ts";
import {
  booksAreEmpty,
  connectionOf,
  kinds,
  open,
  pluginEvents,
  processKinds,
  type Sides,
} from "./support/sides.ts";

// Places and handlers for one call at a time, on both sides.
const narrow = {
  load: { maxInFlightCalls: 1, maxInFlightStreams: 1 },
  run: { maxInFlightCalls: 1, maxInFlightStreams: 1, maxRunningHandlers: 1 },
};

const trace = {
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "congo=t61rcWkgMzE",
  baggage: "userId=alice",
};

describe.each(kinds)("over %s, with one call and one handler at a time,", (kind) => {
  let sides: Sides;

  beforeAll(async () => {
    sides = await open(kind, narrow);
  });

  afterAll(async () => {
    await booksAreEmpty(connectionOf(sides));
    await sides[Symbol.asyncDispose]();
  });

  test("calls nest fifty deep, several of them at once", async () => {
    const answers = Array.from({ length: 4 }, (_, i) => sides.desk.ask(`down 50 echo ${i}`));
    expect(await within(10_000, Promise.all(answers))).toEqual(["0", "1", "2", "3"]);
  });

  test("streams nest fifty deep", async () => {
    const notes = Array.fromAsync(sides.desk.watch("down 50 count 20"));
    expect(textsOf(await within(10_000, notes))).toEndWith("18 19 20");
  });

  test("streams both ways nest", async () => {
    const notes = [
      { text: "down 20" },
      ...Array.from({ length: 20 }, (_, i) => ({ text: `${i}` })),
    ];
    const answers = await within(10_000, Array.fromAsync(sides.desk.chat(notes)));
    expect(textsOf(answers)).toEndWith("17 18 19");
  });

  test("rpcs of the other kinds nest in a call", async () => {
    expect(await sides.desk.ask("down 10 tail 3")).toBe("1 2 3");
    expect(await sides.desk.ask("down 10 logAll a b c")).toBe("3");
    expect(await sides.desk.ask("down 10 mirror a b c")).toBe("a b c");
  });
});

describe.each(kinds)("over %s,", (kind) => {
  let sides: Sides;

  beforeAll(async () => {
    sides = await open(kind);
  });

  afterAll(() => sides[Symbol.asyncDispose]());

  /** Nothing is left of a case. */
  function promise(title: string, body: () => Promise<void>): void {
    test(title, async () => {
      sides.log.held.length = 0;
      sides.log.contexts.length = 0;
      sides.hostDesk.events.length = 0;
      await within(10_000, body());
      await booksAreEmpty(connectionOf(sides));
      expect(await sides.desk.ask("down 2 events")).toBe("");
      expect(sides.hostDesk.events).toEqual([]);
    });
  }

  for (const depth of [4, 5]) {
    promise(`giving up a call gives up the ${depth} below it`, async () => {
      const giveUp = new AbortController();
      const waiting = sides.desk.ask(`down ${depth} wait`, { signal: giveUp.signal });
      const outcome = rejection(waiting);
      if (depth === 4) expect(await pluginEvents(sides, 1)).toEqual(["waiting"]);
      else await eventually("it waits", () => sides.hostDesk.events.splice(0).length > 0);
      giveUp.abort("enough");
      expect((await outcome).code).toBe("cancelled");

      const inPlugin = depth === 4 ? 5 : 6;
      const inHost = depth === 4 ? 4 : 5;
      const events = await pluginEvents(sides, inPlugin);
      await eventually("the host's levels", () => sides.hostDesk.events.length === inHost);
      const all = [...events, ...sides.hostDesk.events.splice(0)].sort();
      const levels = Array.from({ length: depth }, (_, i) => i + 1);
      expect(all).toEqual(
        [
          ...levels.map((level) => `${level} cancelled`),
          ...levels.map((level) => `${level} failed cancelled`),
          "wait cancelled",
        ].sort(),
      );
    });
  }

  promise("a deadline holds for all that is below it", async () => {
    const left = Number(await sides.desk.ask("down 4 time", { timeoutMs: 20_000 }));
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(20_000);
    expect(await sides.desk.ask("down 4 time")).toBe("undefined");

    const error = await rejection(sides.desk.ask("down 4 wait", { timeoutMs: 50 }));
    expect(error.code).toBe("deadline_exceeded");
    const inPlugin = (await pluginEvents(sides, 6)).filter((event) => event !== "waiting");
    await eventually("the host's levels", () => sides.hostDesk.events.length === 4);
    // Whose clock is first is open: the deadline's own, or that of whoever gives the call up for it.
    const all = [...inPlugin, ...sides.hostDesk.events.splice(0)];
    const outcomes = all.map((event) => event.replace(/deadline_exceeded|cancelled/, "ended"));
    const levels = [1, 2, 3, 4];
    expect(outcomes.sort()).toEqual(
      [
        ...levels.map((level) => `${level} ended`),
        ...levels.map((level) => `${level} failed ended`),
        "wait ended",
      ].sort(),
    );
  });

  promise("of a call's own timeout and its parent's, the shorter counts", async () => {
    expect(await sides.desk.ask("short 20", { timeoutMs: 20_000 })).toBe("deadline_exceeded false");
    await eventually("the child ends", () => sides.hostDesk.events.length === 2);
    sides.hostDesk.events.length = 0;

    // Whose clock is first is open: what the plugin says of it may come before the host's own.
    const outcome = await sides.desk.ask("short 20000", { timeoutMs: 50 }).catch(codeOf);
    expect(["deadline_exceeded", "deadline_exceeded true"]).toContain(outcome);
    await eventually("the child ends", () => sides.hostDesk.events.length === 2);
    sides.hostDesk.events.length = 0;
  });

  promise("a call without context inherits nothing", async () => {
    const giveUp = new AbortController();
    const options = { signal: giveUp.signal, timeoutMs: 20_000, headers: trace };
    const outcome = rejection(sides.desk.ask("plain log hold", options));
    await eventually("it is held", () => sides.log.held.length === 1);
    giveUp.abort();
    expect((await outcome).code).toBe("cancelled");
    // The plugin has heard of it once it answers what came behind it.
    await sides.desk.ask("echo");
    const [context] = sides.log.contexts;
    expect(context?.signal.aborted).toBe(false);
    expect(context?.timeoutMs).toBeUndefined();
    expect([...(context?.requestHeaders ?? [])]).toEqual([]);
    sides.log.held[0]?.resolve("late");
  });

  promise("a call that is answered leaves those running that it has made", async () => {
    expect(await sides.desk.ask("leave log hold", { timeoutMs: 20_000 })).toBe("answered");
    await eventually("it is held", () => sides.log.held.length === 1);
    await sides.desk.ask("echo");
    expect(sides.log.contexts[0]?.signal.aborted).toBe(false);
    sides.log.held[0]?.resolve("late");
    expect(await pluginEvents(sides, 1)).toEqual(["left late"]);
  });

  promise("trace context goes down the chain, and other headers do not", async () => {
    const headers = { ...trace, "x-own": "1" };
    const entries = Object.entries(trace).map(([name, value]) => `${name}=${value}`);
    for (const depth of [1, 4]) {
      const told = await sides.desk.ask(`down ${depth} trace`, { headers });
      expect(told.split(/,(?=\w+=)/).sort()).toEqual([...entries].sort());
    }
    expect(await sides.desk.ask("trace", { headers })).toContain("x-own=1");
  });

  promise("a stream that is left in the middle is given up at every level", async () => {
    for await (const { text } of sides.desk.watch("down 4 stuck 3")) if (text === "3") break;
    const events = await pluginEvents(sides, 2);
    expect(events).toEqual(["waiting", "wait cancelled"]);
  });
});

describe.each(["memory", "ring", "socket"] as const)("over %s,", (kind) => {
  test("with maxNestedCalls, one more fails at once and leaves no trace", () =>
    leavingNothing(async () => {
      await using limited = await open(kind, { load: { maxNestedCalls: 4 } });
      const { desk } = limited;
      // Four in each direction, below the first one.
      expect(await desk.ask("down 8 echo x")).toBe("x");
      const error = await rejection(desk.ask("down 9 echo x"));
      expect([error.code, error.rawMessage]).toEqual([
        "resource_exhausted",
        "peer.Desk.Ask is one more than maxNestedCalls 4",
      ]);
      const streamed = await rejection(Array.fromAsync(desk.watch("down 9 count 1")));
      expect(streamed.code).toBe("resource_exhausted");
      await booksAreEmpty(connectionOf(limited));
      expect(await desk.ask("down 8 echo x")).toBe("x");
    }));

  test("a call to another plugin, made with the context, ends with its parent", () =>
    leavingNothing(async () => {
      await using second = await open(kind);
      await using first = await open(kind, narrow, () => second.desk);
      expect(await first.desk.ask("down 2 trace", { headers: trace })).toContain("userId=alice");
      expect(Number(await first.desk.ask("down 2 time", { timeoutMs: 9_000 }))).toBeLessThan(9_001);

      const giveUp = new AbortController();
      const outcome = rejection(first.desk.ask("down 2 wait", { signal: giveUp.signal }));
      expect(await pluginEvents(second, 1)).toEqual(["waiting"]);
      giveUp.abort();
      expect((await outcome).code).toBe("cancelled");
      expect(await pluginEvents(second, 1)).toEqual(["wait cancelled"]);
      await booksAreEmpty(connectionOf(first));
      await booksAreEmpty(connectionOf(second));
    }));
});

test.each(processKinds)("over %s, the death of a plugin ends every level in the host", (kind) =>
  leavingNothing(async () => {
    await using second = await open(kind);
    await using first = await open(kind, {}, () => second.desk);
    // From the plugin to the host, and from there to a plugin that lives on.
    const outcome = rejection(first.desk.ask("down 2 wait"));
    expect(await pluginEvents(second, 1)).toEqual(["waiting"]);
    process.kill(first.handle.pid as number, "SIGKILL");

    expect((await outcome).code).toBe("plugin_exited");
    expect(await pluginEvents(second, 1)).toEqual(["wait cancelled"]);
    const { events } = first.hostDesk;
    await eventually("the host's level", () => events.length === 2);
    expect([...events].sort()).toEqual(["1 failed cancelled", "1 plugin_exited"]);
    await booksAreEmpty(connectionOf(first));
    await booksAreEmpty(connectionOf(second));
  }),
);
