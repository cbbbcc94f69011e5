// What a load on the ring takes, and gives back; and when there is no ring to be had.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type LoadOptions, pluginOf } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { temporaryFolder } from "../support/compiled.ts";
import { wire1Frame } from "../support/handshake.ts";
import {
  executable,
  fixture,
  leavingNothing,
  nothingRuns,
  shellProgram,
  text,
  trace,
} from "../support/plugins.ts";
import { eventually, openDescriptors } from "../support/processes.ts";
import { rejection } from "../support/rejection.ts";
import { runScript } from "../support/scripts.ts";

const about = fixture("about");
const watched = fixture("watched");
const isLinux = process.platform === "linux";

const hasRing = (what: string): boolean => what.includes("bun-plug");

function ringDescriptors(pid: number | "self" = "self"): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return "";
      }
    })
    .filter(hasRing);
}

/** How many rings are mapped in this process. */
function mappedCount(): number {
  return readFileSync("/proc/self/maps", "utf8").split("\n").filter(hasRing).length;
}

describe.skipIf(!isLinux)("a load on the ring", () => {
  test("keeps one socket and no descriptor of the memory, on either side", () =>
    leavingNothing(async () => {
      const before = [...openDescriptors().values()];
      await using kv = await loadKV(about, { logger: false });
      await kv.get("size 3000000");
      const plugin = pluginOf(kv);
      expect(plugin.stats().transport).toBe("ring");
      expect(ringDescriptors()).toEqual([]);
      expect(ringDescriptors(plugin.pid)).toEqual([]);
      const socketCount = (all: readonly string[]): number =>
        all.filter((what) => what.startsWith("socket:")).length;
      expect(
        socketCount([...openDescriptors().values()]) - socketCount(before),
      ).toBeLessThanOrEqual(
        // The protocol's; where Bun uses one for stderr, that.
        2,
      );
    }));

  test("gives the memory back", async () => {
    for (let i = 0; i < 5; i++) {
      await using kv = await loadKV(about, { logger: false });
      await kv.get("size 100000");
    }
    await eventually("most rings are unmapped", () => {
      Bun.gc(true);
      return mappedCount() < 4;
    });
  });

  test("does not pass the memory to what the plugin, or the host, starts besides", async () => {
    await using kv = await loadKV(about, { logger: false });
    await kv.get("echo a");
    const child = Bun.spawnSync(["/bin/ls", "-l", "/proc/self/fd"]);
    expect(child.stdout.toString()).not.toContain("bun-plug");
  });
});

describe.skipIf(!isLinux)("a load that fails leaves nothing of the ring", () => {
  const broken = fixture("broken");
  const soon = (options: LoadOptions): LoadOptions => ({ logger: false, ...options });
  const steps: readonly (readonly [string, string, () => LoadOptions])[] = [
    ["before the program is started", "/nowhere/at/all", () => ({})],
    ["since the program cannot be started", executable("#!/no/such/shell\n"), () => ({})],
    ["in the middle of the handshake", broken, () => ({ args: ["half"] })],
    ["since the program is no plugin", executable("#!/bin/sh\necho hello\n"), () => ({})],
    ["since the program ends at once", executable("#!/bin/sh\nexit 3\n"), () => ({})],
    ["since it takes too long", shellProgram("sleep 60"), () => ({ startTimeoutMs: 50 })],
    ["since it is given up", shellProgram("sleep 60"), () => ({ signal: AbortSignal.timeout(30) })],
    ["since the plugin refuses to run", fixture("lacking"), () => ({ args: ["twice"] })],
  ];
  test.each(steps)("%s", async (_when, path, options) => {
    const own = trace();
    const before = mappedCount();
    await leavingNothing(async () => {
      for (const transport of [undefined, "ring"] as const) {
        await rejection(loadKV(path, soon({ ...options(), transport, env: own.env })));
      }
      expect(ringDescriptors()).toEqual([]);
    });
    await nothingRuns(own);
    await eventually("the memory is unmapped", () => {
      Bun.gc(true);
      return mappedCount() <= before + 1;
    });
  });
});

describe("a plugin that does not take the ring", () => {
  test("is spoken to on the socket", () =>
    leavingNothing(async () => {
      await using kv = await loadKV(watched, { env: { MMAP: "0" }, logger: false });
      expect(pluginOf(kv).stats().transport).toBe("socket");
      expect(text(await kv.get("echo hello"))).toBe("hello");
    }));

  test("cannot be loaded where the ring is forced", () =>
    leavingNothing(async () => {
      const own = trace();
      const options = { env: { ...own.env, MMAP: "0" }, transport: "ring", logger: false } as const;
      const error = await rejection(loadKV(watched, options));
      expect(error.code).toBe("handshake_mismatch");
      expect(error.message).toContain("ring");
      await nothingRuns(own);
    }));
});

describe("a plugin of the Go original", () => {
  // Answers the handshake as one does, and then nothing.
  function wire1Plugin(): string {
    const path = join(temporaryFolder(), "answer");
    // Service index 0, message Handshake: version 1 and the magic word.
    const magic = new TextEncoder().encode("magic");
    writeFileSync(path, wire1Frame(0x00ff, Uint8Array.of(8, 1, 18, 5, ...magic)));
    return shellProgram(
      `dd bs=4096 count=1 of=/dev/null 2>/dev/null; cat "${path}"; exec cat >/dev/null`,
    );
  }

  test("is spoken to on stdio, and nothing is left of what was made for the ring", () =>
    leavingNothing(async () => {
      const own = trace();
      await using kv = await loadKV(wire1Plugin(), { env: own.env, logger: false });
      expect(pluginOf(kv).stats()).toMatchObject({ wire: 1, transport: "stdio" });
      expect(ringDescriptors()).toEqual([]);
      expect(own.started()).toHaveLength(1);
    }));

  test("cannot be loaded where the ring is forced", () =>
    leavingNothing(async () => {
      const own = trace();
      const options = { env: own.env, transport: "ring", logger: false } as const;
      const error = await rejection(loadKV(wire1Plugin(), options));
      expect(error.code).toBe("handshake_mismatch");
      expect(error.message).toContain(`transport "ring" cannot be had: the plugin speaks wire 1`);
      await nothingRuns(own);
    }));
});

describe("a host without bun:ffi", () => {
  const host = fixture("host/life");

  test("has the ring in a file that has lost its name", async () => {
    const own = trace();
    const folder = temporaryFolder();
    await using script = runScript(host, {
      args: ["closed", about, "ring"],
      env: { ...own.env, PLUG_NO_FFI: "1", TMPDIR: folder },
    });
    expect(await script.ends()).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    expect(own.started()).toHaveLength(1);
  });

  const elsewhere = { PLUG_NO_FFI: "1", TMPDIR: "/nowhere/at/all" };

  test("goes by the socket where no file can be made", async () => {
    await using script = runScript(host, { args: ["closed", about], env: elsewhere });
    expect(await script.ends()).toBe(0);
    expect(script.stdout.toString()).toContain("closed");
  });

  test("says why there is no ring if it is forced", async () => {
    await using script = runScript(host, { args: ["closed", about, "ring"], env: elsewhere });
    expect(await script.ends()).toBe(1);
    expect(script.stderr).toContain(
      `transport "ring" cannot be had: this system gives no shared memory`,
    );
  });
});

describe("a plugin on the ring that is killed in the middle of a long answer", () => {
  test("rejects it, and leaves nothing", () =>
    leavingNothing(async () => {
      for (let round = 0; round < 3; round++) {
        const own = trace();
        const kv = await loadKV(about, { env: own.env, logger: false });
        const answers = [50_000_000, 50_000_000].map((size) => rejection(kv.get(`size ${size}`)));
        await Bun.sleep(round * 3);
        process.kill(pluginOf(kv).pid as number, "SIGKILL");
        for (const answer of answers) expect((await answer).code).toBe("plugin_exited");
        await kv[Symbol.asyncDispose]();
        await nothingRuns(own);
      }
    }));
});
