// Hosts as processes of their own: what keeps them alive, what they leave, and what becomes of a
// plugin whose host is killed.

import { describe, expect, test } from "bun:test";

import { compile } from "../support/compiled.ts";
import { eventually, isRunning } from "../support/processes.ts";
import { fixture, nothingRuns, trace } from "../support/plugins.ts";
import { runScript, type Script } from "../support/scripts.ts";

const about = fixture("about");
const dying = fixture("dying");
const host = fixture("host/life");

// The host's; its plugin inherits it. A ring is in a file then.
const kinds = [
  { transport: "ring", noFfi: "0" },
  { transport: "ring", noFfi: "1" },
  { transport: "socket", noFfi: "0" },
  { transport: "stdio", noFfi: "0" },
  { transport: "stdio", noFfi: "1" },
];

/** Runs the host in each way that hosts and plugins can be connected, all at once. */
async function inEveryHost(
  way: string,
  plugin: string,
  body: (script: Script, hasFfi: boolean) => Promise<void>,
): Promise<void> {
  await Promise.all(
    kinds.map(async ({ transport, noFfi }) => {
      const own = trace();
      await using script = runScript(host, {
        args: [way, plugin, transport],
        env: { ...own.env, PLUG_NO_FFI: noFfi, BUN_FEATURE_FLAG_NO_ORPHANS: undefined },
      });
      try {
        await body(script, noFfi === "0");
      } catch (error) {
        const kind = `${transport}, PLUG_NO_FFI=${noFfi}`;
        throw new Error(`on ${kind}: ${(error as Error).message}\n${script.stderr}`, {
          cause: error,
        });
      } finally {
        script.kill("SIGKILL");
        await script.exited;
      }
      await nothingRuns(own);
    }),
  );
}

describe("a host process", () => {
  test("stays alive while a plugin is loaded", () =>
    inEveryHost("loaded", about, async (script) => {
      await script.line("end");
      await Bun.sleep(400);
      expect(isRunning(script.pid)).toBe(true);
    }));

  test("ends by itself after close()", () =>
    inEveryHost("closed", about, async (script) => {
      await script.line("end");
      expect(await script.ends(1_500)).toBe(0);
    }));

  test("ends by itself after its plugin has died", () =>
    inEveryHost("died", dying, async (script) => {
      expect(await script.line("died")).toBe("rejected,rejected");
      expect(await script.ends(1_500)).toBe(0);
    }));

  test("ends by itself after a load that failed", () =>
    inEveryHost("failed", about, async (script) => {
      expect(await script.line("failed")).toBe("start_failed");
      expect(await script.ends(1_500)).toBe(0);
    }));
});

describe("unref()", () => {
  // Without bun:ffi there is no way to unreference the streams, and the host stays.
  const ends = (script: Script): Promise<boolean> =>
    script.ends(1_500).then(
      () => true,
      () => false,
    );

  test("lets the host end while no call is in flight, and the plugin stops with it", () =>
    inEveryHost("unref", about, async (script, hasFfi) => {
      await script.line("end");
      expect(await ends(script)).toBe(hasFfi);
      expect(script.stdout.toString()).toContain("answer 300\nanswer 100\nend\n");
      const pid = Number(await script.line("pid"));
      script.kill("SIGKILL");
      await eventually("the plugin has stopped", () => !isRunning(pid));
    }));

  test("does not stop calls from working, or prints from being heard", () =>
    inEveryHost("unrefAndWait", fixture("chatty"), async (script, hasFfi) => {
      expect(await script.line("answer")).toBe("still here");
      const output = script.stdout.toString();
      expect(output).toContain("stderr during");
      expect(output).toContain("stderr printed later");
      expect(output.indexOf("printed later")).toBeLessThan(output.indexOf("still here"));
      expect(await ends(script)).toBe(hasFfi);
    }));

  test("does not keep a death from being noticed", () =>
    inEveryHost("unrefAndDie", about, async (script) => {
      expect(await script.line("reason")).toBe("plugin_exited");
      expect(script.stdout.toString()).not.toContain("not heard");
      expect(await script.ends(1_500)).toBe(0);
    }));

  test("is taken back by ref()", () =>
    inEveryHost("refAgain", about, async (script) => {
      await script.line("end");
      await Bun.sleep(400);
      expect(isRunning(script.pid)).toBe(true);
    }));

  test("does not cut close() short", () =>
    inEveryHost("unrefAndClose", about, async (script) => {
      await script.line("closed");
      expect(await script.ends(1_500)).toBe(0);
    }));
});

describe("a plugin whose host is killed", () => {
  test("ends if it is idle", () =>
    inEveryHost("loaded", about, async (script) => {
      const pid = Number(await script.line("pid"));
      await script.line("end");
      script.kill("SIGKILL");
      await eventually("the plugin has ended", () => !isRunning(pid));
    }));

  test("ends if it is busy", () =>
    inEveryHost("busy", fixture("stubborn"), async (script) => {
      const pid = Number(await script.line("pid"));
      await script.line("called");
      script.kill("SIGKILL");
      await eventually("the plugin has ended", () => !isRunning(pid));
    }));

  test("ends if it is compiled, idle or busy", async () => {
    const plugin = await compile(fixture("stubborn"));
    for (const way of ["loaded", "busy"]) {
      await inEveryHost(way, plugin, async (script) => {
        const pid = Number(await script.line("pid"));
        await script.line(way === "busy" ? "called" : "end");
        script.kill("SIGKILL");
        await eventually("the plugin has ended", () => !isRunning(pid));
      });
    }
  });
});

describe("the default logger", () => {
  test("prints what a plugin prints on the host's stderr, led by the plugin's name", () =>
    inEveryHost("died", dying, async (script) => {
      await script.ends();
      expect(script.stderr).toBe("[dying] it exits with 3\n");
    }));
});

describe("logger: false", () => {
  test("drops what a plugin prints", () =>
    inEveryHost("quiet", dying, async (script) => {
      expect(await script.ends()).toBe(0);
      expect(script.stderr).toBe("");
    }));
});

describe("PLUG_TRACE=1 in the host's environment", () => {
  test("prints each frame of both sides as a line on the host's stderr", async () => {
    await using script = runScript(host, {
      args: ["closed", about, "socket"],
      env: { PLUG_TRACE: "1" },
    });
    expect(await script.ends()).toBe(0);
    const lines = script.stderr
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/\d+(?=\])/, "1"));
    expect(lines.sort()).toEqual([
      "[about] [plug about.ts 1] < go-away #0, 42 bytes",
      "[about] [plug about.ts 1] < request #1 method 0, 16 bytes, deadline",
      "[about] [plug about.ts 1] > response #1, 7 bytes",
      "[plug about] < response #1, 7 bytes",
      "[plug about] > go-away #0, 42 bytes",
      "[plug about] > request #1 method 0, 16 bytes, deadline",
    ]);
  });
});

describe("a compiled host", () => {
  test("runs plugins that are scripts, on its own executable", async () => {
    const own = trace();
    const program = await compile(host);
    await using script = runScript(host, {
      command: [program],
      args: ["closed", about, "socket"],
      env: own.env,
    });
    await script.line("end");
    expect(await script.ends(1_500)).toBe(0);
    expect(own.started()).toHaveLength(1);
  });

  test("runs plugins that are compiled", async () => {
    const [program, plugin] = [await compile(host), await compile(about)];
    await using script = runScript(host, { command: [program], args: ["closed", plugin, "stdio"] });
    await script.line("end");
    expect(await script.ends(1_500)).toBe(0);
  });
});
