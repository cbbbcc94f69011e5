// Real plugins for tests: where they are, how they are started, and what they leave behind.

import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import type { LoadOptions, PluginLine } from "bun-plug";

import { temporaryFolder } from "./compiled.ts";
import { eventually, isRunning, openDescriptors } from "./processes.ts";

/** The path of a script in test/fixture. */
export function fixture(name: string): string {
  return resolve(import.meta.dir, "../fixture", `${name}.ts`);
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** A logger that keeps the lines. */
export function keptLines(): {
  readonly lines: PluginLine[];
  readonly logger: (line: PluginLine) => void;
  /** What was printed, without the rest. */
  readonly texts: () => string[];
} {
  const lines: PluginLine[] = [];
  return {
    lines,
    logger: (line) => void lines.push(line),
    texts: () => lines.map((line) => line.text),
  };
}

/** An executable file with this content. */
export function executable(content: string | Uint8Array, mode = 0o755, name = "program"): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** A program in shell, which notes in the ledger that it was started. */
export function shellProgram(script: string): string {
  return executable(`#!/bin/sh\n[ -z "$LEDGER" ] || echo $$ >> "$LEDGER"\n${script}\n`);
}

/** One way to run a plugin, as options of a load. */
export type Variant = Pick<LoadOptions, "transport" | "env"> & { readonly title: string };

/** The ways in which a plugin can run: on each transport, with bun:ffi and without. */
export const variants: readonly Variant[] = [
  { title: "ring", transport: "ring", env: { PLUG_NO_FFI: "0" } },
  { title: "socket", transport: "socket", env: { PLUG_NO_FFI: "0" } },
  { title: "stdio", transport: "stdio", env: { PLUG_NO_FFI: "0" } },
  { title: "stdio without bun:ffi", transport: "stdio", env: { PLUG_NO_FFI: "1" } },
];

/** What a load is given by {@link leavingNothing}, to be told apart from others. */
export interface Trace {
  /** For the option `env`. */
  readonly env: Readonly<Record<string, string>>;
  /** The processes that were started, in order; they note it themselves. */
  started(): number[];
  /** The processes that run, and what they have started. */
  running(): number[];
}

let traceCount = 0;

/** Marks what is started with its `env`. */
export function trace(): Trace {
  const mark = `${process.pid}.${++traceCount}`;
  const ledger = join(temporaryFolder(), "ledger");
  writeFileSync(ledger, "");
  return {
    env: { PLUG_TEST_MARK: mark, LEDGER: ledger },
    started: () => readFileSync(ledger, "utf8").split("\n").filter(Boolean).map(Number),
    running: () => processesWith(`PLUG_TEST_MARK=${mark}`),
  };
}

/** Runs `body` in every variant, all at once. A failure says which one it was in. */
export async function inEveryVariant(
  body: (variant: Variant, trace: Trace) => Promise<void>,
  among: readonly Variant[] = variants,
): Promise<void> {
  await leavingNothing(async () => {
    await Promise.all(
      among.map(async (variant) => {
        const own = trace();
        try {
          await body({ ...variant, env: { ...variant.env, ...own.env } }, own);
          await nothingRuns(own);
        } catch (error) {
          throw new Error(`on ${variant.title}: ${(error as Error).message}`, { cause: error });
        }
      }),
    );
  });
}

/** Runs `body`, and fails if it leaves a descriptor open. */
export async function leavingNothing(body: () => Promise<void>): Promise<void> {
  const before = openDescriptors();
  await body();
  const left = (): string[] =>
    [...openDescriptors()]
      .filter(([fd, what]) => before.get(fd) !== what && isOurs(what))
      .map(([fd, what]) => `${fd} ${what}`);
  try {
    await eventually("all descriptors are given back", () => left().length === 0, 2_000);
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${left().join(", ")}`);
  }
}

/** Fails if a process of the trace goes on running. */
export async function nothingRuns(own: Trace): Promise<void> {
  await eventually("no process is left", () => own.running().length === 0, 2_000);
}

// Bun opens descriptors of its own when it first needs them.
function isOurs(what: string): boolean {
  return (
    !what.startsWith("anon_inode:") &&
    !what.startsWith("/proc/") &&
    !/^\/dev\/(u?random|null)$/.test(what)
  );
}

// The environment is inherited, so it also marks what a plugin has started itself.
function processesWith(setting: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      if (environment.includes(setting) && isRunning(pid)) found.push(pid);
    } catch {
      // It has ended since.
    }
  }
  return found;
}
