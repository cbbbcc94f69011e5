// Hosts in Go, on the Go original's own code, with our plugins, compiled.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { create } from "@bufbuild/protobuf";
import { anyPack, UInt32ValueSchema } from "@bufbuild/protobuf/wkt";
import { loadPlugin, pluginOf } from "bun-plug";

import { KV, loadKV, loadSerializer, Serializer } from "../../example/gen/example_plug.ts";
import { Decoy, Everything, loadEverything } from "../go/gen/interop_plug.ts";
import { compile, temporaryFolder } from "../support/compiled.ts";
import {
  describeGo,
  type GoHostName,
  type GoHostOptions,
  type GoHostResult,
  type GoStep,
  runGoHost,
  startGoHost,
} from "../support/go-peer.ts";
import { executable, text } from "../support/plugins.ts";
import { eventually, isRunning } from "../support/processes.ts";
import { cases } from "./everything-cases.ts";

const root = join(import.meta.dir, "../..");
const callCount = 10_000;

/** Our plugins. Each is compiled when it is first asked for. */
const plugins = {
  kv: "example/kv/plugin.ts",
  serializer: "example/serializer/plugin.ts",
  everything: "test/interop/fixture/everything-plugin.ts",
  kvAndSerializer: "test/interop/fixture/kv-and-serializer-plugin.ts",
  decoyAndEverything: "test/interop/fixture/decoy-and-everything-plugin.ts",
  throwing: "test/interop/fixture/throwing-plugin.ts",
} as const;

function compiled(plugin: keyof typeof plugins): Promise<string> {
  return compile(join(root, plugins[plugin]));
}

interface HostOptions extends Omit<GoHostOptions, "plugin"> {
  /** Or its path. */
  readonly plugin: keyof typeof plugins | { readonly path: string };
}

async function hostOptions({ plugin, ...options }: HostOptions): Promise<GoHostOptions> {
  const path = typeof plugin === "string" ? await compiled(plugin) : plugin.path;
  return { timeoutMs: 15_000, ...options, plugin: path };
}

async function run(host: GoHostName, options: HostOptions): Promise<GoHostResult> {
  return await runGoHost(host, await hostOptions(options));
}

/** The step of this name, or all of them if there are several. */
function stepsOf({ steps }: GoHostResult, name: string): readonly GoStep[] {
  const found = steps.filter(({ step }) => step === name);
  if (found.length === 0) throw new Error(`no step "${name}" in ${JSON.stringify(steps)}`);
  return found;
}

function stepOf(result: GoHostResult, name: string): GoStep {
  return stepsOf(result, name)[0] as GoStep;
}

/** All went well, and no plugin is left. */
async function wentWell(result: GoHostResult, exitCode = 0): Promise<void> {
  expect(result.steps.filter(({ ok }) => !ok)).toEqual([]);
  expect(result.stderr).toBe("");
  expect(result.exitCode).toBe(exitCode);
  await pluginsHaveGone(result);
}

async function pluginsHaveGone(result: GoHostResult, withinMs = 2_000): Promise<void> {
  for (const { pid } of stepsOf(result, "load")) {
    expect(pid).toBeGreaterThan(0);
    await eventually(`plugin ${pid} has gone`, () => !isRunning(pid as number), withinMs);
  }
}

describeGo("a Go host gets all it asks for", () => {
  for (const [plugin, calls] of [
    ["kv", callCount],
    ["kvAndSerializer", 1_000],
  ] as const) {
    test(`of KV, in ${calls} calls and more, from ${plugins[plugin]}`, async () => {
      const result = await run("kvhost", { plugin, calls });
      await wentWell(result);
      expect(stepOf(result, "calls").calls).toBe(calls);
      expect(stepOf(result, "concurrent").calls).toBe(calls);
      expect(stepOf(result, "large value").bytes).toBe(60_000);
      expect(stepOf(result, "missing").text).toBe(
        "recv error: remote error: key [missing] not in database",
      );
    });
  }

  for (const [plugin, calls] of [
    ["serializer", callCount],
    ["kvAndSerializer", 1_000],
  ] as const) {
    test(`of Serializer, in ${calls} calls and more, from ${plugins[plugin]}`, async () => {
      const result = await run("serializerhost", { plugin, calls });
      await wentWell(result);
      expect(stepOf(result, "answer").data).toBe(
        '{"answer":{"value":42},"question":{"value":"what is the meaning of life?"}}',
      );
      expect(stepOf(result, "calls").calls).toBe(calls);
      expect(stepOf(result, "concurrent").calls).toBe(calls);
    });
  }

  for (const [plugin, calls] of [
    ["everything", callCount],
    ["decoyAndEverything", 1_000],
  ] as const) {
    test(`of Everything, in ${calls} calls and more, from ${plugins[plugin]}`, async () => {
      const result = await run("everythinghost", { plugin, calls });
      await wentWell(result);
      expect(stepOf(result, "calls").calls).toBe(calls);
      expect(stepOf(result, "concurrent").calls).toBe(calls);
      // Print, Panic and Exit have runs of their own.
      const tried = new Set(result.steps.map(({ step }) => step));
      const named = Everything.methods.map(({ name }) => name);
      expect(named.filter((name) => !tried.has(name))).toEqual(["Print", "Panic", "Exit"]);
      expect(stepsOf(result, "Fail").map((step) => step.text)).toEqual([
        "recv error: remote error: plain text",
        "recv error: remote error: ",
        "recv error: remote error: ünïcode 💥\nsecond line",
      ]);
    });
  }

  test("of a plugin that is a script", async () => {
    // The Go original starts files, so the script gets a first line.
    const path = executable(
      `#!/bin/sh\nexec "${process.execPath}" "${join(root, plugins.everything)}"\n`,
    );
    await wentWell(await run("everythinghost", { plugin: { path }, calls: 1_000 }));
  });

  test("of a plugin without bun:ffi", async () => {
    const env = { ...process.env, PLUG_NO_FFI: "1" };
    await wentWell(await run("everythinghost", { plugin: "everything", calls: callCount, env }));
  });

  test("of both services of one program, each by its index, magic and version", async () => {
    const result = await run("everythinghost", { plugin: "decoyAndEverything", end: "decoy" });
    await wentWell(result);
    expect(stepsOf(result, "load")).toHaveLength(2);
    expect(stepOf(result, "decoy").ok).toBe(true);
  });
});

describeGo("an answer to a Go host", () => {
  test("of 65,537 bytes fails that call alone; 65,536 are answered, and 5 MB taken", async () => {
    const result = await run("everythinghost", { plugin: "everything", end: "limit" });
    await wentWell(result);
    expect(result.steps.slice(-4).map(({ step }) => step)).toEqual([
      "largest answer",
      "answer too large",
      "after too large",
      "large request",
    ]);
    const { text } = stepOf(result, "answer too large");
    expect(text).toContain("response of interop.Everything.Fill makes a frame of 65537 bytes");
    expect(text).toContain("at most 65536");
  });

  const thrown: Record<string, string> = {
    error: "a plain error",
    custom: "one of a class of its own",
    plug: "not for you",
    string: "only a text",
    undefined: "undefined",
    lines: "ünïcode 💥\nsecond line",
  };
  for (const [what, words] of Object.entries(thrown)) {
    test(`is exactly the text of what a handler throws: ${what}`, async () => {
      const env = { ...process.env, INTEROP_THROWS: what };
      const result = await run("kvhost", { plugin: "throwing", env });
      expect(stepOf(result, "calls").error).toBe(`call 0: recv error: remote error: ${words}`);
      await pluginsHaveGone(result);
    });
  }

  for (const noFfi of ["0", "1"]) {
    test(`is not disturbed by prints in a handler, with PLUG_NO_FFI=${noFfi}`, async () => {
      const env = { ...process.env, PLUG_NO_FFI: noFfi };
      const result = await run("everythinghost", { plugin: "everything", end: "print", env });
      await wentWell(result);
      expect(stepOf(result, "printed").ok).toBe(true);
    });
  }
});

describeGo("a plugin of a Go host ends", () => {
  const hosts = [
    ["kvhost", "kv"],
    ["serializerhost", "serializer"],
    ["everythinghost", "everything"],
  ] as const;

  for (const [host, plugin] of hosts) {
    test(`when ${host} exits`, async () => {
      await wentWell(await run(host, { plugin, end: "exit" }));
    });

    test(`when ${host} ends after a wait`, async () => {
      await using running = await startGoHost(host, await hostOptions({ plugin, end: "wait" }));
      await running.step("waiting");
      const { pid } = await running.step("load");
      expect(isRunning(pid as number)).toBe(true);
      running.closeStdin();
      await wentWell(await running.finished);
    });

    test(`when ${host} is killed`, async () => {
      await using running = await startGoHost(host, await hostOptions({ plugin, end: "wait" }));
      await running.step("waiting");
      running.kill("SIGKILL");
      await pluginsHaveGone(await running.finished);
    });
  }

  for (const [host, plugin] of hosts.slice(0, 2)) {
    test(`when ${host} exits in the middle of calls`, async () => {
      await wentWell(await run(host, { plugin, end: "abrupt" }), 7);
    });
  }

  test("when everythinghost exits in the middle of a call, once its handler is through", async () => {
    const result = await run("everythinghost", { plugin: "everything", end: "abrupt" });
    expect(result.exitCode).toBe(7);
    await pluginsHaveGone(result, 4_500); // the handler takes 3,000 ms
  });

  test("with the code that its handler exits with", async () => {
    const result = await run("everythinghost", { plugin: "everything", end: "exit3" });
    expect(stepOf(result, "died")).toMatchObject({ ok: true, exitCode: 3, signal: "" });
  });

  test("with code 1 when it throws outside of any call, as a Go plugin ends that panics", async () => {
    const options = { plugin: "everything", end: "panic", timeoutMs: 3_000 } as const;
    const result = await run("everythinghost", options);
    expect(stepOf(result, "died")).toMatchObject({ ok: true, exitCode: 1, signal: "" });
  });
});

describeGo("a Go host that asks a plugin for something else", () => {
  interface Mismatch {
    readonly result: GoHostResult;
    /** What the Go host says. */
    readonly error: string;
    readonly stderr: string;
    readonly exitCode: number;
  }

  /** Runs the plugin in a shell that keeps what the Go host throws away. */
  async function mismatch(host: GoHostName, options: HostOptions): Promise<Mismatch> {
    const { plugin, ...rest } = await hostOptions(options);
    const folder = temporaryFolder();
    const path = executable(
      `#!/bin/sh\n"${plugin}" 2> "${folder}/stderr.$$"\necho $? > "${folder}/code.$$"\n`,
    );
    const result = await runGoHost(host, { ...rest, plugin: path });
    const { pid, error = "" } = stepsOf(result, "load").at(-1) as GoStep;
    await eventually("the shell has gone", () => !isRunning(pid as number));
    return {
      result,
      error,
      stderr: readFileSync(`${folder}/stderr.${pid}`, "utf8"),
      exitCode: Number(readFileSync(`${folder}/code.${pid}`, "utf8")),
    };
  }

  const table = [
    {
      title: "for another service",
      host: "kvhost",
      options: { plugin: "serializer" },
      what: "service mismatch in handshake",
      hostHas: 'service index 0, magic "magic", version 1',
      pluginHas: 'example.Serializer (service index 1, magic "s3rializer", version 2)',
    },
    {
      title: "for another service at an index that nobody has",
      host: "serializerhost",
      options: { plugin: "kv" },
      what: "service mismatch in handshake",
      hostHas: 'service index 1, magic "s3rializer", version 2',
      pluginHas: 'example.KV (service index 0, magic "magic", version 1)',
    },
    {
      title: "for another magic",
      host: "everythinghost",
      options: { plugin: "serializer" },
      what: "magic mismatch in handshake",
      hostHas: 'service index 1, magic "ev3rything", version 7',
      pluginHas: 'example.Serializer (service index 1, magic "s3rializer", version 2)',
    },
    {
      title: "for another version",
      host: "kvhost",
      options: { plugin: "decoyAndEverything" },
      what: "version mismatch in handshake",
      hostHas: 'service index 0, magic "magic", version 1',
      pluginHas: 'interop.Decoy (service index 0, magic "magic", version 2)',
    },
    {
      title: "for a Decoy after Everything",
      host: "everythinghost",
      options: { plugin: "everything", end: "decoy" },
      what: "service mismatch in handshake",
      hostHas: 'service index 0, magic "magic", version 2',
      pluginHas: 'interop.Everything (service index 1, magic "ev3rything", version 7)',
    },
  ] as const;

  for (const { title, host, options, what, hostHas, pluginHas } of table) {
    test(`${title} is told the values of both sides, and the plugin fails`, async () => {
      const { result, error, stderr, exitCode } = await mismatch(host, options);
      expect(result.exitCode).toBe(1);
      for (const words of [what, hostHas, pluginHas]) expect(error).toContain(words);
      expect(exitCode).toBe(1);
      for (const words of ["[handshake_mismatch]", what, hostHas, pluginHas]) {
        expect(stderr).toContain(words);
      }
    });
  }
});

describe("the same executable serves our host", () => {
  test("and answers every method of Everything as a Go host wants it", async () => {
    await using everything = await loadEverything(await compiled("everything"), { logger: false });
    expect(pluginOf(everything).stats().wire).toBe(2);
    for (const { call, answer } of cases) expect(await call(everything)).toEqual(answer);
  });

  test("with KV", async () => {
    await using kv = await loadKV(await compiled("kv"));
    await kv.put("k", Uint8Array.of(1, 2));
    expect(await kv.get("k")).toEqual(Uint8Array.of(1, 2));
  });

  test("with several services at once", async () => {
    await using both = await loadPlugin(await compiled("kvAndSerializer"), {
      kv: KV,
      serializer: Serializer,
    });
    const n = anyPack(UInt32ValueSchema, create(UInt32ValueSchema, { value: 42 }));
    await both.kv.put("k", await both.serializer.marshal({ n }));
    expect(text(await both.kv.get("k"))).toBe('{"n":{"value":42}}');
  });

  test("with one of several services", async () => {
    const n = anyPack(UInt32ValueSchema, create(UInt32ValueSchema, { value: 42 }));
    await using serializer = await loadSerializer(await compiled("kvAndSerializer"));
    expect(text(await serializer.marshal({ n }))).toBe('{"n":{"value":42}}');
    await using both = await loadPlugin(await compiled("decoyAndEverything"), {
      everything: Everything,
      decoy: Decoy,
    });
    expect(await both.decoy.name("duck")).toBe("decoy duck");
    expect(await both.everything.addInt32(1, 2)).toBe(3);
  });
});
