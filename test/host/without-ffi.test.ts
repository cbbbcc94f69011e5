// The same, with a host that does without bun:ffi.
//
// Whether it is used is settled once per process, so this runs other test files in processes of
// their own.

import { expect, test } from "bun:test";
import { join } from "node:path";

const files = ["not-a-plugin", "death", "close"];

test.skipIf(process.env["PLUG_NO_FFI"] === "1")(
  `everything in ${files.join(", ")} holds without bun:ffi in the host`,
  async () => {
    const outcomes = await Promise.all(files.map(runWithoutFfi));
    expect(outcomes).toEqual(files.map(() => ({ failed: [], exitCode: 0 })));
  },
  60_000,
);

async function runWithoutFfi(file: string): Promise<unknown> {
  await using child = Bun.spawn(
    [process.execPath, "test", join(import.meta.dir, `${file}.test.ts`)],
    {
      env: { ...process.env, PLUG_NO_FFI: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const [stderr, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  return { failed: stderr.split("\n").filter((line) => line.startsWith("(fail)")), exitCode };
}
