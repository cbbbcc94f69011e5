// How a plugin begins and ends: what run… refuses, and what happens when the host has gone.

import { describe, expect, test } from "bun:test";

import { pluginOf } from "bun-plug";
import { loadKV } from "../../example/gen/example_plug.ts";
import { helloOf, offer, protobuf, wire1FrameIn, wire2Frame } from "../support/handshake.ts";
import { fixture, inEveryVariant, keptLines } from "../support/plugins.ts";
import { eventually } from "../support/processes.ts";
import { rejection } from "../support/rejection.ts";
import { runScript, type Script } from "../support/scripts.ts";

describe("run… refuses, and the host is told why:", () => {
  const refused: readonly (readonly [string, string])[] = [
    ["methods", "the handler of example.KV lacks put()"],
    ["services", "there is no service to run"],
    ["twice", "example.KV is served twice"],
    ["handlers", "maxRunningHandlers must be a whole number from 1 to 1048576, got 0"],
    ["span", "drainTimeoutMs must be a number from 0 to 2^31 - 1, got -1"],
    ["bytes", "maxMessageBytes must be a whole number from 1024 to 1073741824, got 1"],
  ];
  for (const [what, says] of refused) {
    test(`${what}: ${says}`, () =>
      inEveryVariant(async (variant) => {
        const options = { ...variant, args: [what], logger: false } as const;
        const error = await rejection(loadKV(fixture("lacking"), options));
        expect(error.code).toBe("start_failed");
        expect(error.message).toContain(`the plugin cannot run: ${says}`);
        expect(error.origin).toBe("peer");
      }));
  }
});

describe("when the host has gone", () => {
  const work = wire2Frame(1, 0, 0, 1, protobuf([[1, "work 300"]]));

  /** Starts the plugin by hand, gives it work, and goes. */
  async function left(args: readonly string[], body: (plugin: Script) => Promise<void>) {
    await Promise.all(
      ["0", "1"].map(async (PLUG_NO_FFI) => {
        const options = { args, env: { PLUG_NO_FFI }, stdin: "pipe" } as const;
        await using plugin = runScript(fixture("leftover"), options);
        plugin.stdin?.write(Buffer.concat([offer(helloOf("example.KV")), work]));
        plugin.stdin?.flush();
        await eventually("an answer", () => wire1FrameIn(plugin.stdout) !== undefined);
        plugin.stdin?.end();
        await body(plugin);
      }),
    );
  }

  test("a handler that runs is let through, with its signal aborted, before run… resolves", () =>
    left([], async (plugin) => {
      expect(await plugin.ends(2_000)).toBe(0);
      expect(plugin.stderr).toBe("work is done, for nobody\nrun has resolved\n");
    }));

  test("run… resolves after drainTimeoutMs even so", () =>
    left(["nothing", "50"], async (plugin) => {
      expect(await plugin.ends(2_000)).toBe(0);
      expect(plugin.stderr).toBe("run has resolved\nwork is done, for nobody\n");
    }));

  test("a plugin that something keeps alive is ended a second after run… has resolved", () =>
    left(["timer"], async (plugin) => {
      await eventually("run has resolved", () => plugin.stderr.includes("run has resolved"));
      const resolvedAt = performance.now();
      expect(await plugin.ends(2_500)).toBe(0);
      expect(performance.now() - resolvedAt).toBeGreaterThan(700);
    }));
});

test("a second run… in one process rejects, and says what serves several services", () =>
  inEveryVariant(async (variant) => {
    const { logger, texts } = keptLines();
    await using kv = await loadKV(fixture("lacking"), { ...variant, args: ["again"], logger });
    await pluginOf(kv).closed;
    expect(texts().join("\n")).toContain("runPlugin takes several services");
  }));
