import { expect, test } from "bun:test";
import { join } from "node:path";

import { root } from "./support/generate.ts";
import { run } from "./support/process.ts";

test("all generated code that is checked in is up to date", async () => {
  const { code, stderr } = await run([process.execPath, join(root, "codegen/gen.ts"), "--check"]);

  expect(stderr).toBe("");
  expect(code).toBe(0);
}, 60_000);
