// A test for each way of dying while calls are in flight: every call settles, and says how.

import { describe, expect, test } from "bun:test";

import { type PlugError, pluginOf } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { compile } from "../support/compiled.ts";
import { bytes, fixture, inEveryVariant, keptLines, text } from "../support/plugins.ts";
import { isRunning } from "../support/processes.ts";
import { rejection } from "../support/rejection.ts";
import { within } from "../support/within.ts";

const dying = fixture("dying");
// A death is known at once, or a second later if the process does not end with its connection.
const withinMs = 2_500;

interface Expected {
  readonly says: string;
  readonly process?: Partial<NonNullable<PlugError["process"]>>;
}

async function diesOf(command: string, expected: Expected, path = dying): Promise<void> {
  await inEveryVariant(async (variant, trace) => {
    const spans = { drainTimeoutMs: 300, stopTimeoutMs: 300 };
    await using kv = await loadKV(path, { ...variant, ...spans, logger: false });
    const { closed, stats } = pluginOf(kv);
    const waiting = [
      kv.get("never"),
      kv.get("never", { timeoutMs: 60_000 }),
      kv.get("sleep 60000"),
    ];

    const errors = await within(
      withinMs,
      Promise.all([...waiting, kv.get(command)].map(rejection)),
    );

    expect(errors.map(({ code }) => code)).toEqual(Array(4).fill("plugin_exited"));
    const [first] = errors as [PlugError];
    expect(first.message).toContain(expected.says);
    expect(first.message).toContain("while 4 calls were in flight");
    expect(first.origin).toBe("local");
    expect(first.retry).toBe("new_process");
    expect(first.process ?? {}).toMatchObject(expected.process ?? {});

    const later = await rejection(kv.get("echo later"));
    expect(later.message).toBe(first.message);
    expect(await closed).toBe(first);
    expect(stats.call(pluginOf(kv)).inFlightCount).toBe(0);
    expect(trace.started()).toHaveLength(1);
  });
}

// Calls go out in a microtask.
async function untilSent(): Promise<void> {
  for (let i = 0; i < 10; i++) await null;
}

function blockUntilGone(pid: number): void {
  for (let i = 0; i < 3_000 && isRunning(pid); i++) Bun.sleepSync(1);
}

describe("calls in flight reject with plugin_exited and how the plugin died", () => {
  test("when it exits with code 0", () =>
    diesOf("exit 0", {
      says: "exited with code 0",
      process: { exitCode: 0, signal: null, stderrTail: ["it exits with 0"] },
    }));

  test("when it exits with code 3", () =>
    diesOf("exit 3", {
      says: "exited with code 3",
      process: { exitCode: 3, signal: null, stderrTail: ["it exits with 3"] },
    }));

  test("when it exits with code 3 and is compiled", async () => {
    const program = await compile(dying);
    await diesOf(
      "exit 3",
      { says: "exited with code 3", process: { exitCode: 3, stderrTail: ["it exits with 3"] } },
      program,
    );
  });

  test("when a promise of it rejects and nobody catches that", async () => {
    await diesOf("reject the disk is gone", {
      says: "the disk is gone",
      process: { exitCode: 1, signal: null },
    });
  });

  test("when it throws what nobody catches", async () => {
    await diesOf("throw the disk is gone", {
      says: "the disk is gone",
      process: { exitCode: 1, signal: null },
    });
  });

  for (const signal of ["SIGKILL", "SIGSEGV", "SIGABRT", "SIGTERM"]) {
    test(`when it is killed by ${signal}`, () =>
      diesOf(`kill ${signal}`, {
        says: `was killed by ${signal}`,
        process: { exitCode: null, signal },
      }));
  }

  test("when it is compiled and killed by SIGKILL", async () =>
    diesOf(
      "kill SIGKILL",
      { says: "was killed by SIGKILL", process: { exitCode: null, signal: "SIGKILL" } },
      await compile(dying),
    ));

  test("when it closes its connection but goes on", () =>
    diesOf("close", { says: "has closed its connection, though its process still runs" }));

  test("when it dies in the middle of a 10 MB answer", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(dying, { ...variant, logger: false });
      const waiting = [kv.get("never"), kv.get("half 10000000")].map(rejection);
      await untilSent();
      // Nobody reads while this process waits, so the kernel's buffers hold the first part of it.
      blockUntilGone(pluginOf(kv).pid as number);
      for (const error of await Promise.all(waiting)) {
        expect(error.code).toBe("plugin_exited");
        expect(error.message).toContain("was killed by SIGKILL while 2 calls were in flight");
      }
    }));

  test("when it is killed from outside", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(dying, { ...variant, logger: false });
      const waiting = rejection(kv.get("never"));
      process.kill(pluginOf(kv).pid as number, "SIGKILL");
      expect((await waiting).message).toContain("was killed by SIGKILL while 1 call was in flight");
    }));
});

describe("a plugin that stops reading and is then killed", () => {
  test("rejects a 10 MB request that is half sent", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(dying, { ...variant, logger: false });
      const pid = pluginOf(kv).pid as number;
      process.kill(pid, "SIGSTOP");
      const calls = [kv.put("a", new Uint8Array(10_000_000)), kv.get("never")].map(rejection);
      await Bun.sleep(50); // the kernel's buffers are full by then
      process.kill(pid, "SIGKILL");
      for (const error of await Promise.all(calls)) {
        expect(error.code).toBe("plugin_exited");
        expect(error.message).toContain("was killed by SIGKILL while 2 calls were in flight");
      }
      expect((await rejection(kv.get("echo"))).code).toBe("plugin_exited");
    }));

  test("rejects a 10 MB request that waits behind a handler that never returns", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(dying, { ...variant, logger: false });
      const calls = [kv.put("blocks", bytes("now")), kv.put("a", new Uint8Array(10_000_000))].map(
        rejection,
      );
      await Bun.sleep(50);
      process.kill(pluginOf(kv).pid as number, "SIGKILL");
      for (const error of await Promise.all(calls)) expect(error.code).toBe("plugin_exited");
    }));
});

describe("a plugin that breaks the wire format", () => {
  test("rejects its calls with protocol_error, and is ended without being asked to", () =>
    inEveryVariant(async (variant, trace) => {
      const options = { ...variant, logger: false, stopTimeoutMs: 300 } as const;
      await using kv = await loadKV(dying, options);
      const calls = [kv.get("never"), kv.get("garbage")].map(rejection);
      for (const error of await within(withinMs, Promise.all(calls))) {
        expect(error.code).toBe("protocol_error");
      }
      const reason = await within(withinMs, pluginOf(kv).closed);
      expect(reason.code).toBe("protocol_error");
      expect((await rejection(kv.get("echo"))).code).toBe("protocol_error");
      expect(trace.running()).toEqual([]);
    }));
});

describe("a plugin that dies right after an answer", () => {
  test("has given the answer all the same", () =>
    inEveryVariant(async (variant) => {
      for (let round = 0; round < 5; round++) {
        await using kv = await loadKV(dying, { ...variant, logger: false });
        const never = rejection(kv.get("never"));
        expect(text(await kv.get("answer farewell"))).toBe("farewell");
        expect((await never).message).toContain("was killed by SIGKILL while 1 call was in flight");
      }
    }));

  test("has given a thousand answers all the same", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(dying, { ...variant, logger: false });
      const echoes = Array.from({ length: 1_000 }, (_, i) => kv.get(`echo ${i}`));
      const last = kv.get("answer farewell");
      const answers = await Promise.all([...echoes, last]);
      expect(answers.map(text)).toEqual([...echoes.keys(), "farewell"].map(String));
    }));
});

describe("a dead plugin", () => {
  test("gives the same reason to every call, and does not start again", () =>
    inEveryVariant(async (variant, trace) => {
      await using kv = await loadKV(dying, { ...variant, logger: false });
      const [first] = await Promise.all([rejection(kv.get("exit 3")), pluginOf(kv).closed]);
      const later = await Promise.all([
        rejection(kv.get("echo")),
        rejection(kv.put("a", bytes("b"))),
      ]);
      expect(later.map(({ message }) => message)).toEqual([first.message, first.message]);
      expect(trace.started()).toHaveLength(1);
    }));

  test("can be closed, more than once, which does nothing", () =>
    inEveryVariant(async (variant) => {
      const kv = await loadKV(dying, { ...variant, logger: false });
      const plugin = pluginOf(kv);
      await rejection(kv.get("kill SIGKILL"));
      const startedAt = performance.now();
      await Promise.all([plugin.close(), plugin.close()]);
      expect(performance.now() - startedAt).toBeLessThan(2_000);
      expect((await plugin.closed).code).toBe("plugin_exited");
    }));

  test("has said its last words to the logger before its calls reject", () =>
    inEveryVariant(async (variant) => {
      const { logger, texts } = keptLines();
      await using kv = await loadKV(dying, { ...variant, logger });
      await rejection(kv.get("exit 3"));
      expect(texts()).toContain("it exits with 3");
    }));

  test("is quoted with the last 20 lines of its stderr, however many there were", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(dying, { ...variant, logger: false });
      const { process } = await rejection(kv.get("words 10000"));
      const last = Array.from({ length: 20 }, (_, i) => `word ${9_980 + i}`);
      expect(process?.stderrTail).toEqual(last);
    }));

  test("is noticed if no call is in flight", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(dying, { ...variant, logger: false });
      process.kill(pluginOf(kv).pid as number, "SIGKILL");
      const reason = await pluginOf(kv).closed;
      expect(reason.code).toBe("plugin_exited");
      expect(reason.message).toContain("was killed by SIGKILL while 0 calls were in flight");
    }));

  test("leaves another one alone that was loaded beside it", () =>
    inEveryVariant(async (variant, trace) => {
      await using left = await loadKV(dying, { ...variant, logger: false });
      await using right = await loadKV(dying, { ...variant, logger: false });
      const slow = right.get("sleep 100");
      await rejection(left.get("exit 3"));
      expect(text(await slow)).toBe("100");
      expect(text(await right.get("echo still here"))).toBe("still here");
      expect(trace.started()).toHaveLength(2);
    }));
});
