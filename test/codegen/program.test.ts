// The generator as a program: from source, and as the one file that is published.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";

import packageJson from "../../package.json" with { type: "json" };
import { compile, generateFrom, requestOf, root } from "./support/generate.ts";
import { run } from "./support/process.ts";

const bun = process.execPath;
const node = Bun.which("node");
const source = join(root, "codegen/protoc-gen-plug.ts");

let directory: string;
let bundle: string;
let request: Uint8Array;
let expected: Record<string, string>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "bun-plug-test-"));
  bundle = join(directory, "dist/protoc-gen-plug.js");
  const built = await run([bun, join(root, "codegen/build.ts"), bundle]);
  expect(built.stderr).toBe("");

  const protoFile = await compile(root, "test/codegen/proto");
  const golden = new Bun.Glob("**/*.proto").scanSync(join(root, "test/codegen/proto"));
  const parameter = "import_extension=ts";
  const fileToGenerate = [...golden];
  const message = create(CodeGeneratorRequestSchema, { parameter, protoFile, fileToGenerate });
  request = toBinary(CodeGeneratorRequestSchema, message);
  expected = generateFrom(message).files;
  expect(Object.keys(expected).length).toBeGreaterThan(10);
});

afterAll(() => rm(directory, { recursive: true }));

function filesIn(response: Uint8Array): Record<string, string> {
  const { file } = fromBinary(CodeGeneratorResponseSchema, response);
  return Object.fromEntries(file.map(({ name, content }) => [name, content]));
}

test("the bundle is one executable file under 1 MB, with a shebang for Bun", async () => {
  const { size, mode } = await stat(bundle);

  expect(size).toBeLessThan(1_000_000);
  expect(mode & 0o111).toBe(0o111);
  expect(await Bun.file(bundle).text()).toStartWith("#!/usr/bin/env bun\n");
});

test("the bundle has the same bytes wherever it is built, and no path of the machine", async () => {
  const other = join(directory, "another/place/plug.js");
  await run([bun, join(root, "codegen/build.ts"), other], { cwd: directory });

  const text = await Bun.file(bundle).text();
  expect(await Bun.file(other).text()).toBe(text);
  expect(text).not.toContain(root);
});

test("source and bundle give the same bytes in every locale and folder", async () => {
  const elsewhere = join(directory, "elsewhere");
  await mkdir(elsewhere);
  const runs = await Promise.all([
    run([bun, source], { stdin: request }),
    run([bun, source], { stdin: request, cwd: elsewhere, env: { LC_ALL: "C" } }),
    run([bun, bundle], { stdin: request, env: { LC_ALL: "C", LANG: "C" } }),
    run([bun, bundle], { stdin: request, env: { LC_ALL: "sv_SE.UTF-8", LANG: "sv_SE.UTF-8" } }),
    run([bun, bundle], {
      stdin: request,
      cwd: elsewhere,
      env: { LANG: "tr_TR", TZ: "Asia/Tokyo" },
    }),
  ]);

  for (const { code, stdout, stderr } of runs) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(filesIn(stdout)).toEqual(expected);
  }
});

test.skipIf(node === null)("Node gives the same bytes as Bun in every locale", async () => {
  const locales = ["C", "en_US.UTF-8", "sv_SE.UTF-8", "cs_CZ.UTF-8"];

  const runs = await Promise.all(
    locales.map((locale) => {
      return run([node!, bundle], { stdin: request, env: { LC_ALL: locale, LANG: locale } });
    }),
  );

  for (const { stdout } of runs) expect(filesIn(stdout)).toEqual(expected);
});

test("imports are sorted by code units", () => {
  for (const text of Object.values(expected)) {
    for (const [, names = ""] of text.matchAll(/^import (?:type )?\{ (.+) \} from/gm)) {
      const list = names.split(", ");
      expect(list).toEqual([...list].sort());
    }
  }
});

test("--version prints the version of package.json, --help prints the options", async () => {
  for (const program of [source, bundle]) {
    const asked = await run([bun, program, "--version"]);
    expect(new TextDecoder().decode(asked.stdout)).toBe(
      `protoc-gen-plug v${packageJson.version}\n`,
    );
    expect(asked.code).toBe(0);
  }
  const helped = await run([bun, bundle, "--help"]);
  expect(new TextDecoder().decode(helped.stdout)).toContain("calls=unwrapped|messages");
  expect(helped.code).toBe(0);
});

test("an unknown argument is an error that names it", async () => {
  const { code, stderr } = await run([bun, bundle, "--verison"]);

  expect(stderr).toBe(
    'protoc-gen-plug: unknown argument "--verison"; see protoc-gen-plug --help\n',
  );
  expect(code).toBe(1);
});

test("on a terminal it says what it is and ends", async () => {
  let output = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn([bun, bundle], {
    terminal: {
      data(_, chunk) {
        output += decoder.decode(chunk, { stream: true });
      },
    },
  });

  expect(await child.exited).toBe(1);
  expect(output).toContain("It is run by buf or protoc");
});

test("what is no request is an error on stderr", async () => {
  const { code, stdout, stderr } = await run([bun, bundle], { stdin: Buffer.from("garbage") });

  expect(stderr).toStartWith("protoc-gen-plug: stdin is not a CodeGeneratorRequest: ");
  expect(stderr.split("\n")).toHaveLength(2);
  expect(stdout).toBeEmpty();
  expect(code).toBe(1);
});

test("errors are in the response, with the features that protoc asks for first", async () => {
  const message = await requestOf({
    "kv.proto": `syntax = "proto3";
      message Text { optional string text = 1; }
      service KV { ${Array.from({ length: 251 }, (_, i) => `rpc R${i}(Text) returns (Text);`).join(" ")} }`,
  });

  const ended = await run([bun, bundle], { stdin: toBinary(CodeGeneratorRequestSchema, message) });

  const response = fromBinary(CodeGeneratorResponseSchema, ended.stdout);
  expect(response.error).toStartWith("kv.proto:3: service KV: has 251 rpcs");
  expect(response.supportedFeatures).toBe(3n);
  expect(response.maximumEdition).toBeGreaterThan(0);
  expect(ended.code).toBe(0);
});

test("warnings are lines on stderr and change nothing in the output", async () => {
  const message = await requestOf({
    "kv.proto": `syntax = "proto3";
      message Query { map<string, int32> limits = 1; }
      service KV { rpc Find(Query) returns (Query); }`,
  });

  const ended = await run([bun, bundle], { stdin: toBinary(CodeGeneratorRequestSchema, message) });

  expect(ended.stderr).toMatch(/^protoc-gen-plug: kv\.proto:3: rpc KV\.Find: warning: .*\n$/);
  expect(Object.keys(filesIn(ended.stdout))).toEqual(["kv_plug.ts"]);
  expect(ended.code).toBe(0);
});
