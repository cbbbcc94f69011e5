import { expect, test } from "bun:test";

import { create } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, Edition } from "@bufbuild/protobuf/wkt";

import { generate, generateFrom, requestOf } from "./support/generate.ts";

const kv = { "kv.proto": protoWith("rpc Get(Text) returns (Text);") };

function protoWith(...rpcs: string[]): string {
  return [
    'syntax = "proto3";',
    "package example;",
    "message Text { string text = 1; }",
    "service KV {",
    ...rpcs,
    "}",
  ].join("\n");
}

test("streaming rpcs are an error that names file, line and rpc, each of them", async () => {
  const { error, files } = await generate({
    "kv.proto": protoWith(
      "rpc Watch(Text) returns (stream Text);",
      "rpc Get(Text) returns (Text);",
      "rpc Fill(stream Text) returns (Text);",
      "rpc Chat(stream Text) returns (stream Text);",
    ),
  });

  expect(error.split("\n")).toEqual([
    "kv.proto:5: rpc example.KV.Watch: streaming rpcs are not supported yet",
    "kv.proto:7: rpc example.KV.Fill: streaming rpcs are not supported yet",
    "kv.proto:8: rpc example.KV.Chat: streaming rpcs are not supported yet",
  ]);
  expect(files).toEqual({});
});

test("250 rpcs are possible, the 251st is an error that names file, line and service", async () => {
  const rpcs = Array.from({ length: 251 }, (_, index) => `rpc R${index}(Text) returns (Text);`);

  const [most, tooMany] = await Promise.all([
    generate({ "kv.proto": protoWith(...rpcs.slice(0, 250)) }),
    generate({ "kv.proto": protoWith(...rpcs) }),
  ]);

  expect(most.error).toBe("");
  expect(most.files["kv_plug.ts"]).toContain("KV$r249]");
  expect(tooMany.error).toBe(
    "kv.proto:4: service example.KV: has 251 rpcs, and at most 250 are possible",
  );
});

test("255 services are possible, the 256th is an error that names it", async () => {
  const services = Array.from({ length: 256 }, (_, index) => `service S${index} {}`);
  const proto = (count: number) => 'syntax = "proto3";\n' + services.slice(0, count).join("\n");

  const [most, tooMany] = await Promise.all([
    generate({ "kv.proto": proto(255) }),
    generate({ "kv.proto": proto(256) }),
  ]);

  expect(most.error).toBe("");
  expect(tooMany.error).toBe("kv.proto:257: service S255: a file may have at most 255 services");
});

test("without positions from the compiler the file is named without a line", async () => {
  const request = await requestOf({
    "kv.proto": protoWith("rpc Watch(Text) returns (stream Text);"),
  });
  for (const file of request.protoFile) delete file.sourceCodeInfo;

  expect(generateFrom(request).error).toBe(
    "kv.proto: rpc example.KV.Watch: streaming rpcs are not supported yet",
  );
});

const badOptions = [
  ["calls=foo", 'invalid option "calls=foo": calls must be unwrapped or messages, not "foo"'],
  ["calls", 'invalid option "calls": calls must be unwrapped or messages, not ""'],
  ["call=messages", 'invalid option "call=messages": there is no option "call"'],
  ["calls=messages,", 'invalid option "calls=messages,": there is no option ""'],
  ["target=js", 'invalid option "target=js": the only target is target=ts'],
  ["target=ts+dts", 'invalid option "target=ts+dts": the only target is target=ts'],
  ["target", 'invalid option "target": the only target is target=ts'],
  ["import_extension=mjs", 'invalid option "import_extension=mjs"'],
  ["rewrite_imports=x", 'invalid option "rewrite_imports=x": must be in the form of'],
  ["keep_empty_files=maybe", 'invalid option "keep_empty_files=maybe"'],
] as const;

test("an unknown option or a bad value is an error that names it", async () => {
  const request = await requestOf(kv);

  for (const [parameter, message] of badOptions) {
    const { error, files } = generateFrom({ ...request, parameter });
    expect(error).toStartWith(message);
    expect(files).toEqual({});
  }
});

test("an edition that is not known yet is an error that names it", async () => {
  const request = await requestOf(kv);
  const [file] = request.protoFile;
  file!.syntax = "editions";
  file!.edition = Edition.EDITION_99999_TEST_ONLY;

  expect(generateFrom(request).error).toStartWith("kv.proto: unsupported edition");
});

test("a file that the request lacks is an error that names it", () => {
  const request = create(CodeGeneratorRequestSchema, { fileToGenerate: ["kv.proto"] });

  expect(generateFrom(request).error).toContain("kv.proto");
});
