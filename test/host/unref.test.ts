// Plugins that are unreferenced while much comes from them: all of it arrives, in order.

import { expect, test } from "bun:test";

import { pluginOf } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { loadBehaviour } from "../behaviour/gen/behaviour_plug.ts";
import { runScript } from "../support/scripts.ts";
import { eventually } from "../support/processes.ts";
import {
  fixture,
  inEveryVariant,
  keptLines,
  nothingRuns,
  trace,
  variants,
} from "../support/plugins.ts";

// The plugin writes to descriptor 1 itself, which without bun:ffi is the transport's.
const guarded = variants.filter(({ env }) => env?.["PLUG_NO_FFI"] === "0");
const behaviour = new URL("../behaviour/fixture/plugin.ts", import.meta.url).pathname;

test("prints of an unreferenced plugin arrive, all and in order, call after call", () =>
  inEveryVariant(async ({ transport, env }) => {
    const [callCount, linesPerCall] = [20, 3_000];
    const { lines, logger } = keptLines();
    await using kv = await loadKV(fixture("counting"), { transport, env, logger } as never);
    pluginOf(kv).unref();

    for (let i = 0; i < callCount; i++) {
      await kv.get(`print ${linesPerCall}`);
      if (i % 3 === 0) await Bun.sleep(5); // idle for a while, too
    }
    const total = callCount * linesPerCall;
    await eventually("all lines are there", () => lines.length === 2 * total);

    for (const fd of ["1", "2"]) {
      const printed = lines.map(({ text }) => text).filter((text) => text.startsWith(fd));
      const isInOrder = printed.every((text, i) => text === `${fd} ${i} ${"x".repeat(100)}`);
      expect([isInOrder, printed.length]).toEqual([true, total]);
    }
  }, guarded));

test("a stream of an unreferenced plugin that is left in full flow does not break the next calls", () =>
  inEveryVariant(async ({ transport, env }) => {
    await using client = await loadBehaviour(behaviour, {
      transport,
      env,
      streamWindowBytes: 16 << 20,
      connectionWindowBytes: 64 << 20,
    } as never);
    pluginOf(client).unref();

    for (let i = 0; i < 12; i++) {
      expect(await client.echo(`before ${i}`, { timeoutMs: 5_000 })).toBe(`before ${i}`);
      const numbers = client.count(0, 1_000_000, 60_000, 0)[Symbol.asyncIterator]();
      await numbers.next();
      Bun.sleepSync(i % 6); // a busy host: more comes in meanwhile than it reads in a turn
      await Bun.sleep(i % 3);
      await numbers.return?.();
      await Bun.sleep(i % 2 === 0 ? 0 : 150);
      expect(await client.echo(`after ${i}`, { timeoutMs: 5_000 })).toBe(`after ${i}`);
    }
  }));

test("a host may end while an unreferenced plugin prints without pause", async () => {
  for (const transport of ["socket", "stdio"]) {
    const own = trace();
    await using script = runScript(fixture("host/life"), {
      args: ["unrefFlood", fixture("endless"), transport],
      env: { ...own.env, PLUG_NO_FFI: "0" },
    });
    await script.line("end");
    expect(await script.ends(1_500)).toBe(0);
    await nothingRuns(own);
  }
});
