// How much code the messages of the benchmark take, minified.
//
//   bun bench/codec/size.ts
//
// Each message is generated alone, with what it is made of, and minified without the library that
// it imports; the last row is that library, as far as the messages use it. protobuf-es's code is a
// descriptor; our codec uses it too, so ours is both.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { BunPlugin } from "bun";

const root = join(import.meta.dir, "../..");
const bin = join(root, "node_modules/.bin");
const folder = mkdtempSync(join(tmpdir(), "bun-plug-size-"));
const proto = await Bun.file(join(import.meta.dir, "proto/codec_bench.proto")).text();
const messages = new Map(
  [...proto.matchAll(/^message (\w+) \{$[^]*?^\}$/gm)].map(([text, name]) => [
    name as string,
    text,
  ]),
);
const rows: Record<string, readonly string[]> = {
  Key: ["Key"],
  Value: ["Value"],
  Record: ["Record", "Child"],
  Large: ["Large"],
  "protobufjs' own": ["Test", "Outer"],
};

const fromSource: BunPlugin = {
  name: "from-source",
  setup(build) {
    const path = join(root, "src/codec.ts");
    build.onResolve({ filter: /^bun-plug\/codec$/ }, () => ({ path }));
  },
};

interface Sizes {
  readonly ours: number;
  readonly es: number;
  readonly pbjs: number;
}

try {
  console.log("| minified bytes | bun-plug | protobuf-es | protobufjs |");
  console.log("|---|---:|---:|---:|");
  for (const [row, names] of Object.entries(rows)) print(row, await sizesOf(names, false));
  const all = [...messages.keys()];
  const [alone, bundled] = [await sizesOf(all, false), await sizesOf(all, true)];
  print("the library", {
    ours: bundled.ours - alone.ours,
    es: bundled.es - alone.es,
    pbjs: bundled.pbjs - alone.pbjs,
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function print(row: string, { ours, es, pbjs }: Sizes): void {
  const cells = [ours, es, pbjs].map((bytes) => bytes.toLocaleString("en"));
  console.log(`| ${row} | ${cells.join(" | ")} |`);
}

async function sizesOf(names: readonly string[], withLibrary: boolean): Promise<Sizes> {
  const out = join(folder, `${names.join("-")}-${withLibrary}`);
  mkdirSync(out);
  symlinkSync(join(root, "node_modules"), join(out, "node_modules"));
  const text = names.map((name) => messages.get(name)).join("\n");
  await Bun.write(join(out, "proto/m.proto"), `syntax = "proto3"; package bench.codec;\n${text}\n`);
  const local = [
    process.execPath,
    join(root, "node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es"),
  ];
  const ours = [process.execPath, join(root, "codegen/protoc-gen-plug.ts")];
  const template = {
    version: "v2",
    plugins: [
      { local, out, opt: ["target=ts", "import_extension=ts"] },
      { local: ours, out, opt: ["import_extension=ts", "codec=only"] },
    ],
  };
  const buf = join(root, "node_modules/@bufbuild/buf/bin/buf");
  await run(
    [process.execPath, buf, "generate", join(out, "proto"), "--template", JSON.stringify(template)],
    out,
  );
  const options =
    "-t static-module -w es6 --no-create --no-verify --no-convert --no-delimited --no-typeurl --no-service --no-comments";
  await run(
    [
      join(bin, "pbjs"),
      ...options.split(" "),
      "-o",
      join(out, "pbjs.js"),
      join(out, "proto/m.proto"),
    ],
    out,
  );

  const functions = 'export { toBinary, fromBinary } from "@bufbuild/protobuf";';
  return {
    ours: await minified(out, 'export * from "./m_codec.ts";', withLibrary),
    es: await minified(out, `export * from "./m_pb.ts"; ${functions}`, withLibrary),
    pbjs: await minified(out, 'export * from "./pbjs.js";', withLibrary),
  };
}

async function minified(out: string, text: string, withLibrary: boolean): Promise<number> {
  const entry = join(out, "entry.ts");
  await Bun.write(entry, text);
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    minify: true,
    external: withLibrary ? [] : ["bun-plug/*", "@bufbuild/*", "protobufjs/*"],
    plugins: withLibrary ? [fromSource] : [],
  });
  return outputs[0]?.size ?? 0;
}

async function run(command: readonly string[], cwd: string): Promise<void> {
  const child = Bun.spawn([...command], { cwd, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const text = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(text);
}
