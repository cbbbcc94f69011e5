// A test for each way of not being a plugin: what the error says, and that nothing is left.

import { describe, expect, test } from "bun:test";

import type { LoadOptions, PlugError } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { compile, temporaryFolder } from "../support/compiled.ts";
import {
  executable,
  fixture,
  inEveryVariant,
  keptLines,
  leavingNothing,
  shellProgram,
  variants,
} from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";

const startTimeoutMs = 5_000;
// A program may be slow to start on a busy machine; it must not be slow to be found out.
const withinMs = 3_000;

interface Expected {
  readonly code: PlugError["code"];
  /** In this order. */
  readonly says: readonly string[];
  readonly process?: Partial<NonNullable<PlugError["process"]>>;
  /** How often the program ran, if it can say so. */
  readonly starts?: number;
}

// The socket's variant, and that of stdio, since what is offered differs.
async function isRefused(
  path: string | URL,
  expected: Expected,
  options: LoadOptions = {},
): Promise<void> {
  await inEveryVariant(async (variant, trace) => {
    const startedAt = performance.now();
    const error = await rejection(
      loadKV(path, {
        startTimeoutMs,
        logger: false,
        ...variant,
        ...options,
        env: { ...variant.env, ...options.env },
      }),
    );
    const tookMs = performance.now() - startedAt;

    expect(error.code).toBe(expected.code);
    let at = 0;
    for (const part of expected.says) {
      expect(error.message.slice(at)).toContain(part);
      at = error.message.indexOf(part, at) + part.length;
    }
    expect(error.process ?? {}).toMatchObject(expected.process ?? {});
    expect(tookMs).toBeLessThan(withinMs);
    expect(trace.started()).toHaveLength(expected.starts ?? 0);
  });
}

describe("a program that cannot be started", () => {
  test("is refused if the file is missing", () =>
    isRefused("no/such/plugin", { code: "start_failed", says: ["there is no such file"] }));

  test("is refused if a script is missing", () =>
    isRefused("no/such/plugin.ts", { code: "start_failed", says: ["there is no such file"] }));

  test("is refused if a folder on the way is a file", () =>
    isRefused("package.json/plugin", { code: "start_failed", says: ["there is no such file"] }));

  test("is refused if it is a directory", () =>
    isRefused("test/host", { code: "start_failed", says: ["it is a directory"] }));

  test("is refused if it is a device", () =>
    isRefused("/dev/null", { code: "start_failed", says: ["it is not a regular file"] }));

  test("is refused if it is empty", () =>
    isRefused(executable(""), { code: "start_failed", says: ["the file is empty"] }));

  test("is refused if it is neither a binary nor a script with an interpreter", () =>
    isRefused(executable("echo hello\n"), {
      code: "start_failed",
      says: ["it is not an executable"],
    }));

  test("is refused if it is built for another architecture, which the error names", () =>
    isRefused(executable(elf(0x16)), {
      code: "start_failed",
      says: ["built for another architecture: Linux machine 0x16", `${process.arch}`],
    }));

  test("is refused if it is built for macOS or for Windows", async () => {
    await isRefused(executable(Uint8Array.of(0xcf, 0xfa, 0xed, 0xfe, ...new Uint8Array(60))), {
      code: "start_failed",
      says: ["built for another system: macOS"],
    });
    await isRefused(executable(Uint8Array.of(0x4d, 0x5a, ...new Uint8Array(62))), {
      code: "start_failed",
      says: ["built for another system: Windows"],
    });
  });

  test("is refused if its interpreter is missing, which the error names", () =>
    isRefused(executable("#!/no/such/interpreter\n"), {
      code: "start_failed",
      says: [`the interpreter "/no/such/interpreter", which is not there`],
    }));

  test("is refused if env does not find its interpreter", () =>
    isRefused(executable("#!/usr/bin/env no-such-interpreter\n"), {
      code: "start_failed",
      says: ["exited with code 127", "no-such-interpreter"],
      process: { exitCode: 127, signal: null },
    }));

  test("is refused if the option cwd is not a directory", () =>
    isRefused(
      "/bin/true",
      { code: "start_failed", says: [`the option cwd, "/no/such/folder", is not a directory`] },
      { cwd: "/no/such/folder" },
    ));

  // Who may do everything may not run a file without the run bit either.
  test("is refused if it lacks the run bit", () =>
    isRefused(executable("#!/bin/sh\n", 0o644), { code: "start_failed", says: ["chmod +x"] }));
});

describe("a program that is no plugin", () => {
  test("is found out if it repeats its input, as cat does", () =>
    isRefused("/bin/cat", { code: "not_a_plugin", says: ["cat", "echoed the handshake"] }));

  test("is found out if it ends at once, as true does", () =>
    isRefused("/bin/true", {
      code: "not_a_plugin",
      says: ["closed its output without answering", "exited with code 0"],
      process: { exitCode: 0, signal: null, stderrTail: [] },
    }));

  test("is found out if it fails at once, as false does", () =>
    isRefused("/bin/false", {
      code: "start_failed",
      says: ["without answering", "exited with code 1"],
      process: { exitCode: 1, signal: null, stderrTail: [] },
    }));

  test("is found out if it is killed by a signal", () =>
    isRefused(shellProgram("kill -9 $$"), {
      code: "start_failed",
      says: ["without answering", "was killed by SIGKILL"],
      process: { exitCode: null, signal: "SIGKILL" },
      starts: 1,
    }));

  test("is found out after startTimeoutMs if it is silent", () =>
    isRefused(
      shellProgram("exec sleep 60"),
      {
        code: "not_a_plugin",
        says: ["did not answer the handshake within startTimeoutMs 300"],
        starts: 1,
      },
      { startTimeoutMs: 300 },
    ));

  test("is found out by what it prints, which the error quotes", () =>
    isRefused(shellProgram("echo Welcome to the kv store\nexec sleep 60"), {
      code: "not_a_plugin",
      says: [`printed "Welcome to the kv store`, "prints must come after run…"],
      starts: 1,
    }));

  test("is found out by what it prints if that begins like an answer", () =>
    isRefused(
      fixture("broken"),
      { code: "not_a_plugin", says: [`printed "\\u0000Hello"`], starts: 1 },
      { args: ["prose"] },
    ));

  test("is found out if it closes its output and goes on", () =>
    isRefused(
      fixture("broken"),
      { code: "not_a_plugin", says: ["closed its output without answering"], starts: 1 },
      { args: ["closed"] },
    ));

  test("is found out if what it has started holds its stdout and stderr open", () =>
    isRefused(shellProgram("sleep 60 & echo the grandchild holds stdout >&2; exit 6"), {
      code: "start_failed",
      says: ["without answering", "exited with code 6", "the grandchild holds stdout"],
      process: { exitCode: 6, signal: null, stderrTail: ["the grandchild holds stdout"] },
      starts: 1,
    }));

  test("is found out after startTimeoutMs if it closes its input and is silent", () =>
    isRefused(
      fixture("broken"),
      { code: "not_a_plugin", says: ["did not answer the handshake"], starts: 1 },
      { args: ["deafToInput"], startTimeoutMs: 1_000 },
    ));

  test("is quoted with the last 20 lines of its stderr", async () => {
    const program = shellProgram("for i in $(seq 22); do echo line $i >&2; done; exit 9");
    const tail = Array.from({ length: 20 }, (_, i) => `line ${i + 3}`);
    await isRefused(program, {
      code: "start_failed",
      says: ["exited with code 9", `last stderr lines: ${JSON.stringify(tail.join("\n"))}`],
      process: { exitCode: 9, stderrTail: tail },
      starts: 1,
    });
  });
});

describe("a plugin that does not get as far as run…", () => {
  const thrown = { exitCode: 1, signal: null };

  test("is refused with what it threw at the top level", () =>
    isRefused(
      fixture("broken"),
      {
        code: "start_failed",
        says: ["without answering", "exited with code 1", "the database is not there"],
        process: thrown,
        starts: 1,
      },
      { args: ["throws"] },
    ));

  test("is refused with what it threw if it is compiled", async () => {
    const program = await compile(fixture("broken"));
    const says = ["exited with code 1", "the database is not there"];
    await isRefused(
      program,
      { code: "start_failed", says, process: thrown, starts: 1 },
      { args: ["throws"] },
    );
  });

  test("is refused with what Bun says of a script that it cannot read", () =>
    isRefused(executable("const = 1;\n", 0o644, "syntax.ts"), {
      code: "start_failed",
      says: ["exited with code 1", "syntax.ts"],
      process: thrown,
    }));

  test("is refused with a word on prints if it prints before run…", () =>
    isRefused(
      fixture("printing"),
      {
        code: "not_a_plugin",
        says: [`"hello before run`, "prints must come after run…"],
        starts: 1,
      },
      { args: ["early"] },
    ));
});

describe("an answer that breaks off or is garbage", () => {
  test("is named if the program exits in the middle of it", () =>
    isRefused(
      fixture("broken"),
      {
        code: "start_failed",
        says: ["in the middle of the handshake, after 4 bytes", "exited with code 5"],
        process: { exitCode: 5, stderrTail: ["that was half of it"] },
        starts: 1,
      },
      { args: ["half"] },
    ));

  test("is named if its payload cannot be read", () =>
    isRefused(
      fixture("broken"),
      {
        code: "not_a_plugin",
        says: ["answered a handshake of 4 bytes that cannot be read"],
        starts: 1,
      },
      { args: ["garbage"] },
    ));

  test("is named if its length never ends", () =>
    isRefused(
      fixture("broken"),
      { code: "not_a_plugin", says: ["answered what is not a handshake"], starts: 1 },
      { args: ["endlessLength"] },
    ));

  test("is named if its length is beyond all bounds", () =>
    isRefused(
      fixture("broken"),
      { code: "not_a_plugin", says: ["answered what is not a handshake", "4294967295"], starts: 1 },
      { args: ["hugeLength"] },
    ));
});

describe("a failed load", () => {
  test("hands the lines of stderr to the logger", async () => {
    const { lines, logger } = keptLines();
    await rejection(loadKV(shellProgram("echo one >&2; echo two >&2; exit 1"), { logger }));
    expect(lines).toEqual([
      { plugin: "program", stream: "stderr", text: "one" },
      { plugin: "program", stream: "stderr", text: "two" },
    ]);
  });

  test("never starts the program twice, on any transport", () =>
    inEveryVariant(
      async (variant, trace) => {
        await rejection(loadKV(shellProgram("exit 1"), { ...variant, logger: false }));
        expect(trace.started()).toHaveLength(1);
      },
      [...variants, { title: "the best", env: {} }],
    ));

  test("leaves no file in the folder for temporary ones", async () => {
    const folder = temporaryFolder();
    await leavingNothing(async () => {
      await rejection(loadKV("/bin/false", { env: { TMPDIR: folder }, logger: false }));
    });
    expect([...new Bun.Glob("**").scanSync(folder)]).toEqual([]);
  });
});

/** The header of an executable for a machine that has a number but that nobody has. */
function elf(machine: number): Uint8Array {
  const header = new Uint8Array(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.set([2, 0, machine, 0, 1], 16);
  return header;
}
