// Plugins in Go live and die under our host: every call settles, and no process is left.

import { expect, test } from "bun:test";
import { join } from "node:path";

import { pluginOf, type PlugError } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { type Everything, loadEverything } from "../go/gen/interop_plug.ts";
import { describeGo, goBinary } from "../support/go-peer.ts";
import { eventually, isRunning } from "../support/processes.ts";
import { keptLines, leavingNothing, nothingRuns, shellProgram, trace } from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";
import { runScript, type Script } from "../support/scripts.ts";
import { spanOf, within } from "../support/within.ts";

// "close() of an idle Go plugin is fast": its default patience is 2,000 ms.
const fastMs = 500;
const diedMs = 2_000;
const hostScript = join(import.meta.dir, "fixture/host/go.ts");

const load = async (options = {}) =>
  await loadEverything(await goBinary("everything"), { logger: false, ...options });

function pidOf(client: object): number {
  return pluginOf(client).pid as number;
}

/** Places the call and others behind it, which must all reject; returns the reason, which is one. */
async function endOf(
  everything: Everything & AsyncDisposable,
  fatal: Promise<unknown>,
): Promise<PlugError> {
  const behind = [
    everything.not(true),
    everything.sleep(60_000, { timeoutMs: 60_000 }),
    everything.addInt32(1, 2, { signal: new AbortController().signal }),
  ];
  const errors = await within(diedMs, Promise.all([fatal, ...behind].map(rejection)));
  const [first] = errors as [PlugError];
  expect(errors.map(({ message }) => message)).toEqual(Array(4).fill(first.message));
  return first;
}

/** The plugin behind the client has gone, of the same reason, and so do later calls. */
async function isOver(everything: Everything & AsyncDisposable, reason: PlugError): Promise<void> {
  expect(await within(diedMs, pluginOf(everything).closed)).toBe(reason);
  expect((await rejection(everything.not(true))).message).toBe(reason.message);
  expect(pluginOf(everything).stats().inFlightCount).toBe(0);
  expect(isRunning(pidOf(everything))).toBe(false);
}

describeGo("a Go plugin that dies rejects all calls with plugin_exited, and says how", () => {
  test("when it exits with a code", () =>
    leavingNothing(async () => {
      await using everything = await load();
      await everything.log("before");
      const reason = await endOf(everything, everything.exit(3, "told to exit"));
      expect(reason).toMatchObject({
        code: "plugin_exited",
        origin: "local",
        retry: "new_process",
        process: { exitCode: 3, signal: null, stderrTail: ["before", "told to exit"] },
      });
      expect(reason.message).toContain("exited with code 3 while 4 calls were in flight");
      expect(reason.message).toContain("told to exit");
      await isOver(everything, reason);
    }));

  test("when it exits with code 0", async () => {
    await using everything = await load();
    const reason = await endOf(everything, everything.exit(0, ""));
    expect(reason.process).toMatchObject({ exitCode: 0, signal: null });
    await isOver(everything, reason);
  });

  test("when it panics: with Go's exit code, the panic's text and the trace", () =>
    leavingNothing(async () => {
      const { logger, texts } = keptLines();
      await using everything = await load({ logger });
      const reason = await endOf(everything, everything.panic("told to panic"));
      expect(reason).toMatchObject({ code: "plugin_exited", process: { exitCode: 2 } });
      expect(reason.process?.stderrTail).toContain("panic: told to panic");
      expect(reason.process?.stderrTail).toContain("main.main()");
      expect(texts()).toContain("panic: told to panic");
      await isOver(everything, reason);
    }));

  test("when it is killed from outside, in a handler", async () => {
    await using everything = await load();
    const running = everything.sleep(60_000);
    process.kill(pidOf(everything), "SIGKILL");
    const reason = await endOf(everything, running);
    expect(reason).toMatchObject({
      code: "plugin_exited",
      process: { exitCode: null, signal: "SIGKILL" },
    });
    expect(reason.message).toContain("was killed by SIGKILL while 4 calls were in flight");
    await isOver(everything, reason);
  });

  test("when it is killed while 10,000 calls wait", async () => {
    await using everything = await load();
    const calls = Array.from({ length: 10_000 }, () => everything.sleep(1));
    process.kill(pidOf(everything), "SIGKILL");
    const outcomes = await within(diedMs, Promise.allSettled(calls));
    const codes = outcomes.map((one) => (one.status === "rejected" ? one.reason.code : "answer"));
    expect(new Set(codes.slice(100))).toEqual(new Set(["plugin_exited"]));
  });

  test("when it is killed while nobody calls", async () => {
    await using everything = await load();
    process.kill(pidOf(everything), "SIGKILL");
    const reason = await within(diedMs, pluginOf(everything).closed);
    expect(reason).toMatchObject({ code: "plugin_exited", process: { signal: "SIGKILL" } });
    await isOver(everything, reason);
  });
});

describeGo("a Go plugin that breaks the wire format rejects its calls and is ended", () => {
  test("when it prints a line between its frames", () =>
    leavingNothing(async () => {
      await using everything = await load({ drainTimeoutMs: 200 });
      const reason = await endOf(everything, everything.print("a line on stdout\n"));
      expect(reason).toMatchObject({ code: "protocol_error", origin: "local" });
      expect(reason.message).toContain("interop.Everything.Print");
      await isOver(everything, reason);
    }));

  test("when it prints much between its frames", () =>
    leavingNothing(async () => {
      await using everything = await load({ drainTimeoutMs: 200 });
      const reason = await endOf(everything, everything.print("a line on stdout\n".repeat(1_000)));
      expect(reason.code).toBe("protocol_error");
      await isOver(everything, reason);
    }));

  test("when it answers more than maxMessageBytes", () =>
    leavingNothing(async () => {
      await using everything = await load({ maxMessageBytes: 1024, drainTimeoutMs: 200 });
      expect(await everything.fill(1021)).toHaveLength(1021);
      const reason = await endOf(everything, everything.fill(1022));
      expect(reason.code).toBe("resource_exhausted");
      expect(reason.message).toContain("1025 bytes, more than maxMessageBytes 1024");
      await isOver(everything, reason);
    }));
});

describeGo("close() of a Go plugin", () => {
  test("is fast if the plugin is idle, and leaves nothing", () =>
    leavingNothing(async () => {
      const kv = await loadKV(await goBinary("example/kv"));
      await kv.put("k", new Uint8Array(1));
      const { closed } = pluginOf(kv);
      expect(await spanOf(pluginOf(kv).close())).toBeLessThan(fastMs);
      expect(isRunning(pidOf(kv))).toBe(false);
      expect((await closed).code).toBe("unavailable");
      expect((await rejection(kv.get("k"))).code).toBe("unavailable");
    }));

  test("does not let it loop over the end of its input", () =>
    leavingNothing(async () => {
      const { logger, lines } = keptLines();
      const everything = await load({ logger });
      await everything.not(true);
      await pluginOf(everything).close();
      // It writes an error frame per turn, and complains on stderr when nobody takes it.
      expect(lines.length).toBeLessThan(20);
    }));

  test("waits for calls in flight", async () => {
    const everything = await load();
    const calls = Promise.all([everything.sleep(100), everything.join(["a", "b"], "")]);
    const closed = pluginOf(everything).close();
    expect((await rejection(everything.not(true))).code).toBe("draining");
    expect(await within(diedMs, calls)).toEqual([100, "ab"]);
    await within(fastMs, closed);
    expect(isRunning(pidOf(everything))).toBe(false);
  });

  test("stops it in a long handler after drainTimeoutMs", () =>
    leavingNothing(async () => {
      const everything = await load({ drainTimeoutMs: 100 });
      const calls = [everything.sleep(60_000), everything.not(true)].map(rejection);
      expect(await spanOf(pluginOf(everything).close())).toBeLessThan(100 + fastMs);
      for (const error of await Promise.all(calls)) {
        expect(error.code).toBe("cancelled");
        expect(error.message).toContain("drainTimeoutMs is 100");
      }
      expect(isRunning(pidOf(everything))).toBe(false);
    }));

  test("does not wait for a call that was given up", async () => {
    const everything = await load({ drainTimeoutMs: 1_500 });
    await rejection(everything.sleep(60_000, { timeoutMs: 20 }));
    expect(await spanOf(pluginOf(everything).close())).toBeLessThan(fastMs);
    expect(isRunning(pidOf(everything))).toBe(false);
  });

  test("ends a plugin that is stopped and takes no SIGTERM, after stopTimeoutMs", async () => {
    const everything = await load({ stopTimeoutMs: 200 });
    process.kill(pidOf(everything), "SIGSTOP");
    expect(await spanOf(pluginOf(everything).close())).toBeLessThan(200 + fastMs);
    expect(isRunning(pidOf(everything))).toBe(false);
  });

  test("leaves nothing, fifty times over", () =>
    leavingNothing(async () => {
      const own = trace();
      const program = shellProgram(`exec "${await goBinary("everything")}"`);
      for (let i = 0; i < 10; i++) {
        await Promise.all(
          Array.from({ length: 5 }, async () => {
            await using everything = await loadEverything(program, { env: own.env });
            expect(await everything.not(true)).toBe(false);
          }),
        );
      }
      expect(own.started()).toHaveLength(50);
      await nothingRuns(own);
    }));
});

describeGo("a host process with a Go plugin", () => {
  const start = async (way: string): Promise<Script> =>
    runScript(hostScript, { args: [way, await goBinary("everything")] });

  async function hasGone(pid: string): Promise<void> {
    await eventually(`plugin ${pid} has gone`, () => !isRunning(Number(pid)), 2_000);
  }

  test("stays alive while it is loaded", async () => {
    await using host = await start("loaded");
    const pid = await host.line("pid");
    await Bun.sleep(300);
    expect(isRunning(host.pid)).toBe(true);
    host.kill("SIGKILL");
    await hasGone(pid);
  });

  test("ends after unref() when no call is in flight, and the plugin with it", async () => {
    await using host = await start("unref");
    expect(await host.ends(3_000)).toBe(0);
    expect(await host.line("joined")).toBe("still answers");
    await hasGone(await host.line("pid"));
  });

  test("stays alive after unref() until calls in flight are answered", async () => {
    await using host = await start("unrefInCall");
    expect(await host.ends(3_000)).toBe(0);
    expect(await host.line("slept")).toBe("300");
    await hasGone(await host.line("pid"));
  });

  test("that is killed takes an idle plugin with it", async () => {
    await using host = await start("loaded");
    const pid = await host.line("pid");
    host.kill("SIGKILL");
    await hasGone(pid);
  });
});

describeGo("without bun:ffi", () => {
  // The original's examples print their complaint on stdout and exit with 0; others may print it
  // on stderr.
  for (const [program, said] of [
    ["example/kv", "stdout"],
    ["everything", "stderr"],
  ] as const) {
    test(`a Go plugin that complains on ${said} fails to load, says why, and starts once`, () =>
      leavingNothing(async () => {
        const own = trace();
        const path = shellProgram(`exec "${await goBinary(program)}"`);
        await using host = runScript(hostScript, {
          args: ["load", path],
          env: { ...own.env, PLUG_NO_FFI: "1" },
        });
        expect(await host.ends()).toBe(0);
        const { code, message } = JSON.parse(await host.line("failed"));
        expect(["not_a_plugin", "start_failed"]).toContain(code);
        expect(message).toContain("both stdin and stdout must be pipes");
        expect(message).toContain(
          "a plugin built with the Go original needs FIFOs, and without bun:ffi this host cannot make them",
        );
        expect(own.started()).toHaveLength(1);
        await nothingRuns(own);
      }));
  }
});
