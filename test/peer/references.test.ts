// References: made by either side, called, let go of in every way there is, and counted.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import type { CallContext } from "bun-plug/plugin";

import { leavingNothing } from "../support/plugins.ts";
import { eventually } from "../support/processes.ts";
import { rejection, thrown } from "../support/rejection.ts";
import { within } from "../support/within.ts";
import { codeOf, LineLog, textsOf } from "./fixture/line-log.ts";
import { countsIn } from "./fixture/test-desk.ts";
import { Desk, Logger, type LoggerHandler } from "./gen/peer_plug.ts";
import {
  booksAreEmpty,
  connectionOf,
  type Kind,
  kinds,
  noReferences,
  open,
  type BothOptions,
  processKinds,
  references,
  referencesSettleTo,
  type Sides,
} from "./support/sides.ts";

const shared = new Map<Kind, Sides>();

beforeAll(async () => {
  for (const kind of kinds) shared.set(kind, await open(kind));
});

afterAll(async () => {
  for (const sides of shared.values()) await sides[Symbol.asyncDispose]();
});

/** A case of which nothing is left: no reference, call or credit; and of its own plugin, nothing. */
async function cleanly(
  kind: Kind,
  body: (sides: Sides) => Promise<void>,
  options?: BothOptions,
): Promise<void> {
  if (options === undefined) {
    await check(shared.get(kind) as Sides);
    return;
  }
  await leavingNothing(async () => {
    await using sides = await open(kind, options);
    await check(sides);
  });

  async function check(sides: Sides): Promise<void> {
    await within(10_000, body(sides));
    await referencesSettleTo(noReferences, sides);
    await booksAreEmpty(connectionOf(sides));
  }
}

describe.each(kinds)("over %s,", (kind) => {
  test("the plugin calls an object of the host by rpcs of all four kinds", () =>
    cleanly(kind, async ({ desk, handle }) => {
      const log = new LineLog();
      using ref = handle.refer(Logger, log);

      expect(await desk.hand("keep k", ref)).toBe("kept");
      expect(await desk.ask("use k log one")).toBe("1");
      expect(await desk.ask("use k tail 300")).toEndWith("299 300");
      expect(await desk.ask("use k logAll two three")).toBe("3");
      expect(await desk.ask("use k mirror a b")).toBe("a b");
      expect(log.lines).toEqual(["one", "two", "three"]);
      expect(await desk.ask("drop k")).toBe("dropped");
    }));

  test("the host calls an object of the plugin by rpcs of all four kinds", () =>
    cleanly(kind, async ({ desk, handle }) => {
      const { ref } = await desk.make("m");
      await using logger = handle.resolve(Logger, ref);

      expect(await logger.log("one")).toBe("1");
      expect(textsOf(await Array.fromAsync(logger.tail("300")))).toEndWith("299 300");
      expect(await logger.logAll([{ text: "two" }, { text: "three" }])).toBe("3");
      expect(textsOf(await Array.fromAsync(logger.mirror([{ text: "a" }])))).toBe("a");
      // Each object is its own.
      const other = await desk.make("other");
      await using otherLogger = handle.resolve(Logger, other.ref);
      expect([await otherLogger.log("first"), await logger.log("fourth")]).toEqual(["1", "4"]);
    }));

  test("references go in messages of streams, both ways", () =>
    cleanly(kind, async ({ desk, handle }) => {
      const log = new LineLog();
      const notes = ["a", "b", "c"].map((text) => ({ text, ref: handle.refer(Logger, log) }));
      expect(await desk.gather(notes)).toBe("1 2 3");

      for await (const { text, ref } of desk.watch("refs 5")) {
        await using logger = handle.resolve(Logger, ref);
        expect(await logger.log(text)).toBe("1");
      }

      const asked = ["chat", "d", "e"].map((text) => ({ text, ref: handle.refer(Logger, log) }));
      asked[0]?.ref[Symbol.dispose](); // the first one only opens the chat
      for await (const { ref } of desk.chat(asked)) {
        await using logger = handle.resolve(Logger, ref);
        expect(await logger.log("x")).toBe("1");
      }
      expect(log.lines).toEqual(["a", "b", "c", "d", "e"]);
    }));

  test("a reference may be to an object that is called back in turn", () =>
    cleanly(kind, async ({ desk, handle, hostDesk }) => {
      expect(await desk.hand("desk down 3 echo deep", handle.refer(Desk, hostDesk))).toBe("deep");
    }));

  test("counts go up as references are made, and down as they are let go of", () =>
    cleanly(kind, async (sides) => {
      const { desk, handle } = sides;
      const log = new LineLog();
      for (let i = 0; i < 10; i++) await desk.hand(`keep ${i}`, handle.refer(Logger, log));
      const loggers = [];
      for (let i = 0; i < 5; i++) {
        const { ref } = await desk.make(`${i}`);
        loggers.push(handle.resolve(Logger, ref));
      }
      const full = { host: { made: 10, held: 5 }, plugin: { made: 5, held: 10 } };
      expect(await references(sides)).toEqual(full);

      for (let i = 0; i < 10; i++) await desk.ask(`drop ${i}`);
      for (const logger of loggers) await logger[Symbol.asyncDispose]();
      expect(await references(sides)).toEqual(noReferences);
    }));

  test("the collector lets go of references that the plugin has forgotten", () =>
    cleanly(kind, async (sides) => {
      const { desk, handle } = sides;
      for (let i = 0; i < 10; i++) {
        await desk.hand(`keep ${i}`, handle.refer(Logger, new LineLog()));
      }
      for (let i = 0; i < 10; i++) await desk.ask(`forget ${i}`);
      await referencesSettleTo(noReferences, sides);
    }));

  test("the collector lets go of references that the host has forgotten", () =>
    cleanly(kind, async (sides) => {
      const { desk, handle } = sides;
      const make = async (name: string): Promise<void> => {
        const { ref } = await desk.make(name);
        expect(await handle.resolve(Logger, ref).log(name)).toBe("1");
      };
      for (let i = 0; i < 10; i++) await make(`${i}`);
      await referencesSettleTo(noReferences, sides);
    }));

  test("the owner ends a reference, and calls fail with not_found", () =>
    cleanly(kind, async (sides) => {
      const { desk, handle } = sides;
      {
        using ref = handle.refer(Logger, new LineLog());
        await desk.hand("keep k", ref);
        expect(await desk.ask("use k log x")).toBe("1");
      }
      const error = await rejection(desk.ask("use k log x"));
      expect(error.code).toBe("not_found");
      expect(error.message).toContain("it has been let go of");
      await desk.ask("drop k");

      const { ref } = await desk.make("m");
      await using logger = handle.resolve(Logger, ref);
      expect(await logger.log("x")).toBe("1");
      await desk.ask("revoke m");
      expect((await rejection(logger.log("x"))).code).toBe("not_found");
      expect((await rejection(Array.fromAsync(logger.tail("1")))).code).toBe("not_found");
      expect((await rejection(logger.logAll([{ text: "x" }]))).code).toBe("not_found");
      const mirrored = Array.fromAsync(logger.mirror([{ text: "x" }]));
      expect((await rejection(mirrored)).code).toBe("not_found");
    }));

  test("a call in flight outlives its reference", () =>
    cleanly(kind, async ({ desk, handle }) => {
      const log = new LineLog();
      const ref = handle.refer(Logger, log);
      await desk.hand("keep k", ref);
      const held = desk.ask("use k log hold");
      await eventually("it is held", () => log.held.length === 1);
      await desk.ask("drop k");
      ref[Symbol.dispose]();
      log.held[0]?.resolve("late");
      expect(await held).toBe("late");
    }));

  test("a call that was sent before its client was disposed is answered", () =>
    cleanly(kind, async ({ desk, handle }) => {
      const { ref } = await desk.make("m");
      const logger = handle.resolve(Logger, ref);
      const answered = logger.log("x");
      const disposed = logger[Symbol.asyncDispose]();
      expect(await answered).toBe("1");
      await disposed;
    }));

  test("two clients of one reference share it; the last one lets go", () =>
    cleanly(kind, async (sides) => {
      const { desk, handle } = sides;
      const { ref } = await desk.make("m");
      const first = handle.resolve(Logger, ref);
      const second = handle.resolve(Logger, ref);
      expect([await first.log("x"), await second.log("y")]).toEqual(["1", "2"]);
      expect((await references(sides)).host.held).toBe(1);

      await first[Symbol.asyncDispose]();
      await first[Symbol.asyncDispose](); // once more counts as once
      expect(await second.log("z")).toBe("3");
      expect((await rejection(first.log("x"))).code).toBe("failed_precondition");
      await second[Symbol.asyncDispose]();

      // One reference has one holder: whoever has let go cannot take it up again.
      await using late = handle.resolve(Logger, ref);
      expect((await rejection(late.log("x"))).code).toBe("not_found");
    }));

  test("a disposed client says so, by every kind of rpc", () =>
    cleanly(kind, async ({ desk, handle }) => {
      const { ref } = await desk.make("m");
      const logger = handle.resolve(Logger, ref);
      await logger[Symbol.asyncDispose]();
      for (const failing of [
        logger.log("x"),
        Array.fromAsync(logger.tail("1")),
        logger.logAll([]),
        Array.fromAsync(logger.mirror([])),
      ]) {
        const error = await rejection(failing);
        expect([error.code, error.rawMessage]).toEqual([
          "failed_precondition",
          "the reference to peer.Logger was disposed",
        ]);
      }
    }));

  test("an own reference that comes back is refused, as is one of another connection", () =>
    cleanly(kind, async ({ desk, handle }) => {
      using ref = handle.refer(Logger, new LineLog());
      await desk.hand("pass", ref);
      const back = await desk.make("back");
      const own = thrown(() => handle.resolve(Logger, back.ref));
      expect([own.code, own.rawMessage]).toEqual([
        "failed_precondition",
        "the reference is to an object of this side; use the object itself",
      ]);

      await cleanly(
        "memory",
        async (other) => {
          using foreign = other.handle.refer(Logger, new LineLog());
          const there = await rejection(desk.hand("log x", foreign));
          const here = thrown(() => other.handle.resolve(Logger, back.ref));
          for (const error of [here, there]) {
            expect(error.code).toBe("failed_precondition");
            expect(error.rawMessage).toStartWith("the reference is of another connection");
          }
        },
        {},
      );
    }));

  test("references of another service, or of none, are refused", () =>
    cleanly(kind, async ({ desk, handle, hostDesk }) => {
      using ofDesk = handle.refer(Desk, hostDesk);
      const other = await rejection(desk.hand("log x", ofDesk));
      expect([other.code, other.rawMessage]).toEqual([
        "invalid_argument",
        "the reference is of peer.Desk, and not of peer.Logger",
      ]);
      expect((await rejection(desk.hand("log x", undefined))).code).toBe("invalid_argument");
      expect((await rejection(desk.hand("log x", {}))).code).toBe("invalid_argument");
      for (const garbage of [undefined, null, 7, "ref", {}, { $typeName: "peer.Text" }]) {
        const error = thrown(() => handle.resolve(Logger, garbage as never));
        expect(error.code).toBe("invalid_argument");
      }
    }));

  test("maxReferences bounds what a side may make", () =>
    cleanly(
      kind,
      async ({ desk, handle }) => {
        const refs = [1, 2].map(() => handle.refer(Logger, new LineLog()));
        const error = thrown(() => handle.refer(Logger, new LineLog()));
        expect([error.code, error.rawMessage]).toEqual([
          "resource_exhausted",
          "one more reference than maxReferences 2",
        ]);
        refs[0]?.[Symbol.dispose]();
        handle.refer(Logger, new LineLog())[Symbol.dispose]();
        refs[1]?.[Symbol.dispose]();

        for (let i = 0; i < 3; i++) await desk.make(`${i}`);
        const theirs = await rejection(desk.make("one more"));
        expect(theirs.code).toBe("resource_exhausted");
        expect(theirs.message).toContain("maxReferences 3");
        for (let i = 0; i < 3; i++) await desk.ask(`revoke ${i}`);
      },
      { load: { maxReferences: 2 }, run: { maxReferences: 3 } },
    ));

  test("an object that lacks a method is refused", () =>
    cleanly(kind, async ({ handle }) => {
      const half = { log: () => "" } as unknown as LoggerHandler;
      const error = thrown(() => handle.refer(Logger, half));
      expect([error.code, error.rawMessage]).toEqual([
        "invalid_argument",
        "the handler of peer.Logger lacks tail(), logAll(), mirror()",
      ]);
    }));

  test("the end of the connection lets go of everything", () =>
    leavingNothing(async () => {
      const sides = await open(kind);
      const { desk, handle, hostDesk } = sides;
      const held = handle.refer(Logger, new LineLog());
      await desk.hand("keep k", held);
      const { ref } = await desk.make("m");
      const logger = handle.resolve(Logger, ref);
      expect(await references(sides)).toEqual({
        host: { made: 1, held: 1 },
        plugin: { made: 1, held: 1 },
      });

      await handle.close();

      expect(countsIn(hostDesk.lastContext as CallContext)).toEqual(noReferences.host);
      expect((await rejection(logger.log("x"))).code).toBe("unavailable");
      expect(thrown(() => handle.refer(Logger, new LineLog())).code).toBe("unavailable");
      expect(thrown(() => handle.resolve(Logger, ref)).code).toBe("unavailable");
      held[Symbol.dispose]();
      await logger[Symbol.asyncDispose]();
    }));
});

test.each(processKinds)("over %s, the death of the plugin lets go of everything", (kind) =>
  leavingNothing(async () => {
    await using sides = await open(kind);
    const { desk, handle, hostDesk } = sides;
    await desk.hand("keep k", handle.refer(Logger, new LineLog()));
    const { ref } = await desk.make("m");
    const logger = handle.resolve(Logger, ref);
    await references(sides);
    process.kill(handle.pid as number, "SIGKILL");

    expect((await handle.closed).code).toBe("plugin_exited");
    expect(countsIn(hostDesk.lastContext as CallContext)).toEqual(noReferences.host);
    expect((await rejection(logger.log("x"))).code).toBe("plugin_exited");
  }),
);

// A release must not overtake what was called before it.
describe.each(kinds)("over %s, the release comes behind", (kind) => {
  test("a long request", () =>
    cleanly(kind, async ({ desk, handle }) => {
      const { ref } = await desk.make("m");
      const logger = handle.resolve(Logger, ref);
      const answered = logger.log("x".repeat(3_000_000)).catch(codeOf);
      await logger[Symbol.asyncDispose]();
      expect(await answered).toBe("1");
    }));

  test("a long request of a client that the collector takes", () =>
    cleanly(kind, async ({ desk, handle }) => {
      const { ref } = await desk.make("m");
      const answered = handle.resolve(Logger, ref).log("x".repeat(3_000_000)).catch(codeOf);
      for (let i = 0; i < 3; i++) Bun.gc(true);
      expect(await answered).toBe("1");
    }));

  test("a request that waits for its turn", () =>
    cleanly(
      kind,
      async ({ desk, handle, log }) => {
        const { ref } = await desk.make("m");
        const logger = handle.resolve(Logger, ref);
        const first = desk.ask("log hold");
        const waiting = logger.log("x").catch(codeOf);
        await logger[Symbol.asyncDispose]();
        await eventually("it is held", () => log.held.length === 1);
        log.held[0]?.resolve("held");
        expect([await first, await waiting]).toEqual(["held", "1"]);
      },
      { load: { maxInFlightCalls: 1 } },
    ));
});
