// What a plugin prints reaches the host as lines, and never the protocol.

import { describe, expect, test } from "bun:test";

import type { PluginLine } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { compile } from "../support/compiled.ts";
import { eventually } from "../support/processes.ts";
import {
  bytes,
  fixture,
  inEveryVariant,
  keptLines,
  text,
  type Variant,
  variants,
} from "../support/plugins.ts";

const printing = fixture("printing");

const ways = [
  "console.log",
  "console.error",
  "process.stdout.write",
  "Bun.write",
  "Bun.stdout.writer",
];

// Where the protocol has stdout to itself only as far as scripts go.
const isGuarded = ({ transport, env }: Variant): boolean =>
  transport !== "stdio" || env?.["PLUG_NO_FFI"] !== "1";

/** How to load the plugin, so that it prints by a child only where that is caught. */
function printingOptions(variant: Variant): Variant {
  const env = { ...variant.env, PRINTS_BY_CHILD: isGuarded(variant) ? "1" : "0" };
  return { ...variant, env };
}

function expectedLines(when: string, hasChild: boolean): string[] {
  return [...ways, ...(hasChild ? ["child"] : [])].map((way) => `${way} ${when}`).sort();
}

function linesOf(lines: readonly PluginLine[], when: string): string[] {
  return lines
    .map((line) => line.text)
    .filter((line) => line.endsWith(` ${when}`))
    .sort();
}

async function reachesTheHost(path: string, among: readonly Variant[] = variants): Promise<void> {
  await inEveryVariant(async (variant) => {
    const hasChild = isGuarded(variant);
    const { lines, logger } = keptLines();
    const kv = await loadKV(path, { ...printingOptions(variant), logger });

    const answers = await Promise.all([
      kv.get("print during"),
      ...Array.from({ length: 200 }, (_, i) => kv.get(`echo ${i}`)),
      kv.put("key", bytes("value")),
    ]);
    expect(answers.slice(0, 3).map((value) => text(value as Uint8Array))).toEqual([
      "during",
      "0",
      "1",
    ]);
    await eventually("all lines are there", () => linesOf(lines, "during").length >= ways.length);
    expect(text(await kv.get("echo still here"))).toBe("still here");
    await kv[Symbol.asyncDispose]();

    for (const when of ["between", "during", "after"]) {
      expect(linesOf(lines, when)).toEqual(expectedLines(when, hasChild));
    }
    expect(lines).toHaveLength(1 + 3 * expectedLines("", hasChild).length);
    const onStdout = lines.filter(({ stream }) => stream === "stdout").map((line) => line.text);
    const isItsOwn = variant.transport !== "stdio";
    expect(onStdout.includes("console.log during")).toBe(isItsOwn);
    expect(onStdout.includes("console.error during")).toBe(false);
  }, among);
}

describe("a plugin's prints", () => {
  test("reach the host as lines, however and whenever they are made", () =>
    reachesTheHost(printing));

  test("reach the host as lines if the plugin is compiled", async () =>
    reachesTheHost(await compile(printing)));

  test("in the same turn as the start of run… do not stand in the way of the answer", () =>
    inEveryVariant(async (variant) => {
      const { logger, texts } = keptLines();
      const kv = await loadKV(printing, { ...printingOptions(variant), logger });
      expect(text(await kv.get("echo hello"))).toBe("hello");
      await kv[Symbol.asyncDispose]();
      expect(texts()).toContain("in the same turn");
    }));

  test("of a child that inherits stdout reach the host", () =>
    inEveryVariant(async (variant) => {
      const { logger, texts } = keptLines();
      const kv = await loadKV(printing, { ...printingOptions(variant), logger });
      await kv.get("print now");
      await kv[Symbol.asyncDispose]();
      expect(texts()).toContain("child now");
    }, variants.filter(isGuarded)));

  test(
    "of 10 MB on stdout and stderr do not stop it from answering",
    () =>
      inEveryVariant(async (variant) => {
        let byteCount = 0;
        const kv = await loadKV(printing, {
          ...printingOptions(variant),
          logger: (line) => {
            byteCount += line.text.length + 1;
          },
        });
        const flood = kv.get("flood 10000000");
        for (let i = 0; i < 100; i++) expect(text(await kv.get(`echo ${i}`))).toBe(`${i}`);
        await flood;
        await kv[Symbol.asyncDispose]();
        expect(byteCount).toBeGreaterThan(10_000_000);
      }),
    20_000,
  );

  test("without an end of line come in pieces of 16 KiB", () =>
    inEveryVariant(async (variant) => {
      const { logger, texts } = keptLines();
      const kv = await loadKV(fixture("about"), { ...variant, logger });
      await kv.get(`stderr ${40 * 1024}`);
      await kv[Symbol.asyncDispose]();
      const lengths = texts().map((line) => line.length);
      expect(lengths).toEqual([16_384, 16_384, 8_192]);
    }));
});

describe("generated code", () => {
  test("installs nothing and prints nothing when it is imported", async () => {
    const script = `
      const before = [console.log, process.stdout.write, Bun.write, process.listenerCount("exit")];
      await import("./example/gen/example_plug.ts");
      const after = [console.log, process.stdout.write, Bun.write, process.listenerCount("exit")];
      console.log(before.every((value, i) => value === after[i]));
    `;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: "true\n", stderr: "", exitCode: 0 });
  });
});
