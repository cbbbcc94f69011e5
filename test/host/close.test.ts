// close(): what becomes of calls, and that nothing delays it longer than it was told.

import { describe, expect, test } from "bun:test";

import { type LoadOptions, loadPlugin, pluginOf } from "bun-plug";

import { KV, loadKV } from "../../example/gen/example_plug.ts";
import { compile } from "../support/compiled.ts";
import {
  fixture,
  inEveryVariant,
  keptLines,
  leavingNothing,
  nothingRuns,
  text,
  trace,
} from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";
import { spanOf, within } from "../support/within.ts";

const about = fixture("about");
const stubborn = fixture("stubborn");
// What a process needs to end when nothing keeps it; generous, for a busy machine.
const endWithinMs = 1_500;

describe("close()", () => {
  test("ends an idle plugin at once, which exits with code 0 by itself", () =>
    inEveryVariant(async (variant, trace) => {
      await using kv = await loadKV(about, { ...variant, logger: false });
      const plugin = pluginOf(kv);
      expect(await spanOf(plugin.close())).toBeLessThan(endWithinMs);
      const reason = await plugin.closed;
      expect(reason.code).toBe("unavailable");
      expect(reason.message).toContain(`plugin "about" was closed`);
      expect(trace.running()).toEqual([]);
    }));

  test("lets the plugin run what stands behind run… to its end", () =>
    inEveryVariant(async (variant) => {
      const { logger, texts } = keptLines();
      const kv = await loadKV(fixture("printing"), {
        ...variant,
        logger,
        env: { ...variant.env, PRINTS_BY_CHILD: "0" },
      });
      await kv[Symbol.asyncDispose]();
      expect(texts()).toContain("console.error after");
      expect(texts()).toContain("console.log after");
    }));

  test("waits for the calls in flight, which finish", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, { ...variant, logger: false });
      const calls = [kv.get("sleep 150"), kv.get("sleep 50"), kv.get("size 5000000")];
      const closed = pluginOf(kv).close();
      const [slow, fast, large] = await Promise.all(calls);
      expect([slow, fast].map((value) => text(value as Uint8Array))).toEqual(["150", "50"]);
      expect(large).toHaveLength(5_000_000);
      await closed;
    }));

  test("refuses new calls with draining while it waits, and with unavailable afterwards", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, { ...variant, logger: false });
      const running = kv.get("sleep 100");
      const closed = pluginOf(kv).close();

      const refused = await rejection(kv.get("echo"));
      expect(refused.code).toBe("draining");
      expect(refused.message).toContain(`plugin "about" is being closed; the call was not sent`);
      expect(text(await running)).toBe("100");
      await closed;

      const late = await rejection(kv.get("echo"));
      expect(late.code).toBe("unavailable");
      expect(late.message).toContain(`plugin "about" was closed`);
    }));

  test("rejects with cancelled what is not answered within drainTimeoutMs", () =>
    inEveryVariant(async (variant) => {
      const options = {
        ...variant,
        logger: false,
        drainTimeoutMs: 200,
        stopTimeoutMs: 200,
      } as const;
      await using kv = await loadKV(about, options);
      const calls = [kv.get("sleep 60000"), kv.get("sleep 60000")].map(rejection);
      const tookMs = await spanOf(pluginOf(kv).close());
      for (const error of await Promise.all(calls)) {
        expect(error.code).toBe("cancelled");
        expect(error.message).toContain("before it answered; drainTimeoutMs is 200");
      }
      expect(tookMs).toBeGreaterThanOrEqual(195);
      expect(tookMs).toBeLessThan(200 + 400 + endWithinMs);
    }));

  test("waits for nothing if drainTimeoutMs and stopTimeoutMs are 0", () =>
    inEveryVariant(async (variant) => {
      const options = { ...variant, logger: false, drainTimeoutMs: 0, stopTimeoutMs: 0 } as const;
      await using kv = await loadKV(about, options);
      const call = rejection(kv.get("sleep 60000"));
      expect(await spanOf(pluginOf(kv).close())).toBeLessThan(endWithinMs);
      expect((await call).code).toBe("cancelled");
    }));

  test("may be called again and again, and gives the same promise", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, { ...variant, logger: false });
      const plugin = pluginOf(kv);
      const first = plugin.close();
      expect(plugin.close()).toBe(first);
      await Promise.all([first, plugin.close(), kv[Symbol.asyncDispose]()]);
      await plugin.close();
    }));

  test("is what await using does, also when the block throws", () =>
    inEveryVariant(async (variant, trace) => {
      const block = async (): Promise<void> => {
        await using kv = await loadKV(about, { ...variant, logger: false });
        expect(text(await kv.get("echo hello"))).toBe("hello");
        throw new Error("the block has thrown");
      };
      await expect(block()).rejects.toThrow("the block has thrown");
      expect(trace.started()).toHaveLength(1);
      expect(trace.running()).toEqual([]);
    }));

  test("is what await using does for a plugin of several services", () =>
    inEveryVariant(async (variant, trace) => {
      {
        await using plugin = await loadPlugin(fixture("services"), { kv: KV }, variant);
        expect(text(await plugin.kv.get("a"))).toBe("value of a");
      }
      expect(trace.running()).toEqual([]);
    }));

  test("of one plugin does not disturb the load of another", () =>
    inEveryVariant(async (variant, trace) => {
      const first = await loadKV(about, { ...variant, logger: false });
      const second = loadKV(about, { ...variant, logger: false });
      const running = first.get("sleep 50");
      await pluginOf(first).close();
      await using kv = await second;
      expect(text(await running)).toBe("50");
      expect(text(await kv.get("echo hello"))).toBe("hello");
      expect(trace.started()).toHaveLength(2);
    }));

  test("ends a compiled plugin", () =>
    leavingNothing(async () => {
      const own = trace();
      const kv = await loadKV(await compile(about), { env: own.env });
      expect(text(await kv.get("echo hello"))).toBe("hello");
      expect(await spanOf(pluginOf(kv).close())).toBeLessThan(endWithinMs);
      expect(own.started()).toHaveLength(1);
      await nothingRuns(own);
    }));
});

describe("close() is not held up longer than the grace it was given", () => {
  const grace = { drainTimeoutMs: 200, stopTimeoutMs: 200 };
  // Draining, the end of input, SIGTERM: one span each; then SIGKILL.
  const boundMs = 3 * 200 + endWithinMs;

  async function closes(
    args: readonly string[],
    before: (kv: KV, pid: number) => unknown = () => {},
    options: LoadOptions = {},
  ): Promise<void> {
    await inEveryVariant(async (variant, trace) => {
      await using kv = await loadKV(stubborn, {
        ...variant,
        logger: false,
        args,
        ...grace,
        ...options,
      });
      await before(kv, pluginOf(kv).pid as number);
      expect(await spanOf(within(10_000, pluginOf(kv).close()))).toBeLessThan(boundMs);
      expect((await pluginOf(kv).closed).code).toBe("unavailable");
      expect(trace.running()).toEqual([]);
    });
  }

  test("by a plugin that is frozen", () => closes([], (_kv, pid) => process.kill(pid, "SIGSTOP")));

  test("by a plugin that is frozen with calls in flight", () =>
    closes([], (kv, pid) => {
      process.kill(pid, "SIGSTOP");
      kv.get("echo hello").catch(() => {});
      kv.put("large", new Uint8Array(10_000_000)).catch(() => {});
    }));

  test("by a plugin that ignores the end of its input", () => closes(["ignores-end"]));

  test("by a plugin that ignores the end of its input and SIGTERM", () =>
    closes(["ignores-end", "deaf"]));

  test("by a plugin that is in an endless loop", () => closes([], (kv) => kv.get("busy")));

  test("by a handler that is in an endless loop", () =>
    closes([], (kv) => void kv.get("uninterrupted").catch(() => {})));

  test("by a grandchild that holds stdout and stderr open", () =>
    closes(["grandchild"], (kv) => kv.get("echo hello")));

  test("by a plugin that never stops to print", () =>
    closes(["prints"], (kv) => kv.get("echo hello")));
});
