// codec=only: codecs of all messages of a file, and no services.

import { expect, test } from "bun:test";

import { generate } from "./support/generate.ts";

const proto = `syntax = "proto3"; package p;
  import "other.proto";
  message A { string key = 1; other.A other = 2; message Inner { bool b = 1; } enum E { X = 0; } }
  service S { rpc Get(A) returns (A); }`;
const other = `syntax = "proto3"; package other; message A { B b = 1; } message B {}`;
const empty = `syntax = "proto3"; package empty; enum E { X = 0; }`;

async function output(path: string): Promise<string> {
  const { files, error } = await generate(
    { "p.proto": proto, "other.proto": other, "empty.proto": empty },
    "codec=only",
  );
  expect(error).toBe("");
  expect(Object.keys(files).sort()).toEqual(["other_codec.ts", "p_codec.ts"]);
  return files[path] as string;
}

function exportsOf(text: string): string[] {
  return [...text.matchAll(/^export \w+ (\w+)/gm)].map(([, name]) => name as string);
}

test("exports a codec and two functions for each message, nested ones too, and nothing else", async () => {
  expect(exportsOf(await output("p_codec.ts"))).toEqual([
    ...["ACodec", "encodeA", "decodeA"],
    ...["A_InnerCodec", "encodeA_Inner", "decodeA_Inner"],
  ]);
});

test("prints messages of other files in the same file, under names of their own", async () => {
  const text = await output("p_codec.ts");

  expect(text).not.toContain("other_codec");
  expect([...text.matchAll(/^function (\S+)\$size/gm)].map(([, name]) => name)).toEqual([
    "A",
    "A_Inner",
    "A$",
    "B",
  ]);
});

test("imports bun-plug/codec, and neither hosts nor plugins", async () => {
  const text = await output("p_codec.ts");

  expect(text).toContain('from "bun-plug/codec";');
  expect(text).not.toContain("codegen-v1");
});

test("any other value is an error", async () => {
  const { error } = await generate({ "p.proto": proto, "other.proto": other }, "codec=all");

  expect(error).toContain('codec must be only, not "all"');
});
