// That ./forbid-binary.ts does forbid: otherwise the conformance suite would prove less than it says.

import { expect, test } from "bun:test";
import { run } from "../codegen/support/process.ts";

test("toBinary and fromBinary throw while a codec is at work, and only then", async () => {
  const script = `
    import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
    import { StructSchema } from "@bufbuild/protobuf/wkt";
    import { working } from "./forbid-binary.ts";
    for (const codec of [false, true]) {
      working.codec = codec;
      for (const use of [() => toBinary(StructSchema, create(StructSchema)), () => fromBinary(StructSchema, new Uint8Array(0))]) {
        try { use(); console.log("worked"); } catch (error) { console.log(error.message); }
      }
    }`;

  const { stdout, stderr } = await run(
    [process.execPath, "--preload", "./forbid-binary.ts", "-e", script],
    { cwd: import.meta.dir },
  );

  expect(stderr).toBe("");
  expect(new TextDecoder().decode(stdout).trim().split("\n")).toEqual([
    ...["worked", "worked"],
    ...["protobuf-es was asked", "protobuf-es was asked"],
  ]);
});
