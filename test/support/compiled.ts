// Scripts of this repository as executables, compiled once per test run.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "bun-plug-test-"));
process.on("exit", removeTemporary);

/** Removes all that was made here. Nothing can be compiled after it. */
export function removeTemporary(): void {
  rmSync(folder, { recursive: true, force: true });
}

const compiled = new Map<string, Promise<string>>();

/** The path of the executable that `bun build --compile` makes of a script. */
export function compile(script: string): Promise<string> {
  const path = resolve(script);
  let executable = compiled.get(path);
  if (executable === undefined) {
    executable = build(path);
    compiled.set(path, executable);
  }
  return executable;
}

async function build(script: string): Promise<string> {
  const outfile = join(folder, `${compiled.size}-${basename(script, ".ts")}`);
  const build = Bun.spawn([process.execPath, "build", "--compile", script, "--outfile", outfile], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(build.stdout).text(),
    new Response(build.stderr).text(),
    build.exited,
  ]);
  if (exitCode !== 0) throw new Error(`bun build --compile ${script}: ${stdout}${stderr}`);
  return outfile;
}

/** A folder of its own for one test file; removed when the tests end. */
export function temporaryFolder(): string {
  return mkdtempSync(join(folder, "tmp-"));
}
