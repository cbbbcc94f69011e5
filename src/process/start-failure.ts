// Why a program did not start, in words that say what to do.

import { accessSync, constants, openSync, readSync, closeSync, statSync } from "node:fs";

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";

/** What stands in the way before anything is started, or undefined. */
export function obstacle(path: string, isScript: boolean): PlugError | undefined {
  if (process.platform !== "linux" && process.platform !== "darwin") {
    return failed(path, `plugins need Linux or macOS, and this is ${process.platform}`);
  }
  let stats;
  try {
    stats = statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR")
      return failed(path, "there is no such file", error);
    return failed(path, `it cannot be looked at (${code})`, error);
  }
  if (stats.isDirectory()) return failed(path, "it is a directory");
  if (!stats.isFile()) return failed(path, "it is not a regular file");
  if (isScript) return undefined;
  try {
    accessSync(path, constants.X_OK);
  } catch (error) {
    return failed(path, "the file may not be executed; chmod +x would allow it", error);
  }
  return undefined;
}

/** What the kernel's refusal to run a file means. */
export function spawnFailure(path: string, cwd: string | undefined, cause: unknown): PlugError {
  const { code } = cause as NodeJS.ErrnoException;
  if (cwd !== undefined && !isDirectory(cwd)) {
    return failed(path, `the option cwd, "${cwd}", is not a directory`, cause);
  }
  if (code === "ENOENT") {
    const interpreter = shebang(path);
    return failed(
      path,
      interpreter === undefined
        ? "the program that loads it is not on this system; it may be built for another C library"
        : `its first line names the interpreter "${interpreter}", which is not there`,
      cause,
    );
  }
  if (code === "ENOEXEC") return failed(path, notExecutable(path), cause);
  if (code === "EMFILE" || code === "ENFILE") {
    return failed(path, `too many files are open (${code})`, cause);
  }
  return failed(path, textOf(cause), cause);
}

function failed(path: string, why: string, cause?: unknown): PlugError {
  return new PlugError(
    "start_failed",
    `cannot start "${path}": ${why}`,
    cause === undefined ? {} : { cause },
  );
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function firstBytes(path: string): Uint8Array {
  const bytes = new Uint8Array(256);
  try {
    const fd = openSync(path, "r");
    try {
      return bytes.subarray(0, readSync(fd, bytes));
    } finally {
      closeSync(fd);
    }
  } catch {
    return bytes.subarray(0, 0); // may be executed, but not read
  }
}

function shebang(path: string): string | undefined {
  const text = new TextDecoder().decode(firstBytes(path));
  return /^#!\s*(\S+)/.exec(text)?.[1];
}

// e_machine of an ELF header, for the machines that Bun and Go are built for most.
const elfMachines: Readonly<Record<number, string>> = {
  0x03: "x86",
  0x28: "arm",
  0x3e: "x64",
  0xb7: "arm64",
  0xf3: "riscv64",
};

function notExecutable(path: string): string {
  const bytes = firstBytes(path);
  const here = `this is ${process.platform} ${process.arch}`;
  if (bytes.byteLength === 0) return "the file is empty";
  const magic = new DataView(bytes.buffer).getUint32(0, false);
  if (magic === 0x7f454c46) {
    // The machine's number is in the file's own byte order, which byte 5 names.
    const machine = new DataView(bytes.buffer).getUint16(18, bytes[5] === 1);
    const name = elfMachines[machine] ?? `machine 0x${machine.toString(16)}`;
    if (process.platform === "linux" && name === process.arch) {
      return "it is built for this machine, but the system will not run it; it may be damaged";
    }
    return `it is built for another architecture: Linux ${name}, and ${here}`;
  }
  if ([0xcffaedfe, 0xcefaedfe, 0xcafebabe, 0xfeedfacf].includes(magic)) {
    return `it is built for another system: macOS, and ${here}`;
  }
  if (magic >>> 16 === 0x4d5a) return `it is built for another system: Windows, and ${here}`;
  return "it is not an executable: no binary, and no script with an interpreter on its first line";
}
