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

test("rpcs of all four kinds are generated", async () => {
  const { error, warnings, files } = await generate({
    "kv.proto": protoWith(
      "rpc Watch(Text) returns (stream Text);",
      "rpc Get(Text) returns (Text);",
      "rpc Fill(stream Text) returns (Text);",
      "rpc Chat(stream Text) returns (stream Text);",
    ),
  });

  expect([error, warnings]).toEqual(["", []]);
  expect(
    [...(files["kv_plug.ts"] ?? "").matchAll(/ {2}kind: "(\w+)"/g)].map(([, kind]) => kind),
  ).toEqual(["server_streaming", "unary", "client_streaming", "bidi_streaming"]);
});

const rpcsTooMany = Array.from({ length: 251 }, (_, i) => `rpc R${i}(Text) returns (Text);`);

test("250 rpcs are possible, the 251st is an error that names file, line and service", async () => {
  const [most, tooMany] = await Promise.all([
    generate({ "kv.proto": protoWith(...rpcsTooMany.slice(0, 250)) }),
    generate({ "kv.proto": protoWith(...rpcsTooMany) }),
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
  const request = await requestOf({ "kv.proto": protoWith(...rpcsTooMany) });
  for (const file of request.protoFile) delete file.sourceCodeInfo;

  expect(generateFrom(request).error).toBe(
    "kv.proto: service example.KV: has 251 rpcs, and at most 250 are possible",
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
