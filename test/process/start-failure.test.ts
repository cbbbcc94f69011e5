import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { PlugError } from "bun-plug";
import { obstacle, spawnFailure } from "../../src/process/start-failure.ts";

const folder = mkdtempSync(join(tmpdir(), "bun-plug-start-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isLinux = process.platform === "linux";
const here = `this is ${process.platform} ${process.arch}`;

function file(name: string, content: string | Uint8Array, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** What stands in the way of a real start: what is found before it, or what the kernel says. */
function failureOf(
  path: string,
  { isScript = false, cwd }: { isScript?: boolean; cwd?: string } = {},
) {
  const before = obstacle(path, isScript);
  if (before !== undefined) return before;
  let failure: PlugError | undefined;
  try {
    const child = Bun.spawn({
      cmd: [path],
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ["ignore", "ignore", "ignore"],
    });
    child.kill("SIGKILL");
  } catch (error) {
    failure = spawnFailure(path, cwd, error);
  }
  return failure;
}

describe("obstacle", () => {
  test("is nothing for an executable and for a script", () => {
    expect(obstacle(process.execPath, false)).toBeUndefined();
    expect(obstacle(file("plugin.ts", "", 0o644), true)).toBeUndefined();
  });

  test("is start_failed, names the path, and has its cause", () => {
    const error = obstacle(join(folder, "missing"), false);

    expect(error?.code).toBe("start_failed");
    expect(error?.message).toStartWith(`[start_failed] cannot start "${folder}/missing": `);
    expect((error?.cause as NodeJS.ErrnoException).code).toBe("ENOENT");
  });
});

describe("a program that cannot be started: the text says that", () => {
  const elf = isLinux ? readFileSync(process.execPath).subarray(0, 4096) : new Uint8Array(4096);
  // e_machine, in the byte order of the file, which is the machine's own.
  function elfFor(machine: number): Uint8Array {
    const copy = new Uint8Array(elf);
    new DataView(copy.buffer).setUint16(18, machine, copy[5] === 1);
    return copy;
  }
  function bytesOf(...start: readonly number[]): Uint8Array {
    const bytes = new Uint8Array(512);
    bytes.set(start);
    return bytes;
  }
  symlinkSync(join(folder, "nowhere"), join(folder, "dangling"));

  const cases: readonly [string, string, string][] = [
    ["there is no such file", join(folder, "missing"), "there is no such file"],
    ["there is no such file below a file", join(file("plain", ""), "x"), "there is no such file"],
    ["a link leads nowhere", join(folder, "dangling"), "there is no such file"],
    ["it is a directory", folder, "it is a directory"],
    ["it is not a regular file", "/dev/null", "it is not a regular file"],
    [
      "it has no run bit",
      file("norun", "#!/bin/sh\n", 0o644),
      "the file may not be executed; chmod +x would allow it",
    ],
    ["it is empty", file("empty", ""), "the file is empty"],
    [
      "it is a text without an interpreter",
      file("text", "console.log(1);\n"),
      "it is not an executable: no binary, and no script with an interpreter on its first line",
    ],
    ["it is a text of two bytes", file("short", "x\n"), "it is not an executable"],
    [
      "its interpreter is missing",
      file("shebang", `#! ${folder}/interpreter -x\n`),
      `its first line names the interpreter "${folder}/interpreter", which is not there`,
    ],
    [
      "it is for macOS",
      file("macho", bytesOf(0xcf, 0xfa, 0xed, 0xfe)),
      `it is built for another system: macOS, and ${here}`,
    ],
    [
      "it is for macOS of several machines",
      file("universal", bytesOf(0xca, 0xfe, 0xba, 0xbe)),
      `it is built for another system: macOS, and ${here}`,
    ],
    [
      "it is for Windows",
      file("pe", bytesOf(0x4d, 0x5a, 0x90, 0x00)),
      `it is built for another system: Windows, and ${here}`,
    ],
  ];
  test.skipIf(!isLinux).each(cases)("%s", (_, path, text) => {
    const error = failureOf(path);

    expect(error?.code).toBe("start_failed");
    expect(error?.message).toStartWith(`[start_failed] cannot start "${path}": `);
    expect(error?.message).toContain(text);
  });

  const machines: readonly [string, number][] = [
    ["riscv64", 0xf3],
    ["arm", 0x28],
    process.arch === "arm64" ? ["x64", 0x3e] : ["arm64", 0xb7],
    ["machine 0x2b", 0x2b],
  ];
  test.skipIf(!isLinux).each(machines)("it is for Linux %s", (name, machine) => {
    const error = failureOf(file(`elf-${machine}`, elfFor(machine)));

    expect(error?.message).toContain(
      `it is built for another architecture: Linux ${name}, and ${here}`,
    );
  });

  // As of a download that broke off: it is not for another machine.
  test.skipIf(!isLinux)("it is damaged, if it is for this machine", () => {
    const own = new Uint8Array(elf.subarray(0, 64));
    new DataView(own.buffer).setUint16(16, 0, own[5] === 1); // e_type: none

    const error = failureOf(file("damaged", own));

    expect(error?.code).toBe("start_failed");
    expect(error?.message).not.toContain("another architecture");
    expect(error?.message).toContain("damaged");
  });

  test.skipIf(!isLinux)("what loads it is missing", () => {
    // The loader's name in the program's own copy: as if it were built for another C library.
    const executable = readFileSync("/bin/true");
    const at = executable.indexOf("/lib64/ld-linux");
    const start = at >= 0 ? at : executable.indexOf("/lib/ld-");
    expect(start).toBeGreaterThan(0);
    executable.write("/lib/xx", start);

    const error = failureOf(file("noloader", executable));

    expect(error?.message).toContain("the program that loads it is not on this system");
  });

  test("the option cwd is not a directory, with its value", () => {
    const cwd = join(folder, "no-folder");

    const error = failureOf(file("runs", "#!/bin/sh\n"), { cwd });

    expect(error?.message).toContain(`the option cwd, "${cwd}", is not a directory`);
  });

  test.each(["EMFILE", "ENFILE"])("too many files are open, for %s", (code) => {
    const cause = Object.assign(new Error(code), { code });

    const error = spawnFailure(process.execPath, undefined, cause);

    expect(error.message).toContain(`too many files are open (${code})`);
    expect(error.cause).toBe(cause);
  });

  test("what the system says, for anything else", () => {
    const cause = Object.assign(new Error("out of memory"), { code: "ENOMEM" });

    expect(spawnFailure(process.execPath, undefined, cause).message).toEndWith(": out of memory");
  });
});
