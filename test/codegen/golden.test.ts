import { expect, test } from "bun:test";
import { join } from "node:path";

import { root } from "./support/generate.ts";
import { run } from "./support/process.ts";

test("code for proto3 messages evaluates no schema: it imports types of protobuf-es alone", async () => {
  const paths = ["scalars_plug.ts", "messages_plug.ts", "well_known_plug.ts", "streams_plug.ts"];
  for (const path of paths) {
    const text = await Bun.file(join(import.meta.dir, "gen", path)).text();
    const modules = [...text.matchAll(/^import \{.* from "(.*)";$/gm)].map(([, module]) => module);

    expect(modules).toEqual(["bun-plug/codegen-v1"]);
  }
});

test("all generated code that is checked in is up to date", async () => {
  const { code, stderr } = await run([process.execPath, join(root, "codegen/gen.ts"), "--check"]);

  expect(stderr).toBe("");
  expect(code).toBe(0);
}, 60_000);
