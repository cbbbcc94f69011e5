// A project that uses the package, set up as codegen/README.md says.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

import { root } from "./support/generate.ts";
import { type Ended, run } from "./support/process.ts";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "bun-plug-test-"));
  await installPackages();
  await installPrograms();
  const readme = await Bun.file(join(root, "codegen/README.md")).text();
  for (const path of ["proto/kv.proto", "buf.yaml", "buf.gen.yaml"]) {
    await Bun.write(join(directory, path), blockOf(readme, path));
  }
});

afterAll(() => rm(directory, { recursive: true }));

/** The code block of a README whose first line is a comment with the path. */
function blockOf(readme: string, path: string): string {
  for (const [, comment, block = ""] of readme.matchAll(
    /^```\w+\n(?:#|\/\/) (.+)\n([^]*?)^```$/gm,
  )) {
    if (comment === path) return block;
  }
  throw new Error(`README has no ${path}`);
}

async function installPackages(): Promise<void> {
  const modules = join(directory, "node_modules");
  await mkdir(join(modules, "@bufbuild"), { recursive: true });
  await symlink(join(root, "node_modules/@bufbuild/protobuf"), join(modules, "@bufbuild/protobuf"));
  // Not a link: buf wants the modules of a workspace inside of it.
  const protos = "codegen/proto";
  await cp(join(root, protos), join(modules, "bun-plug", protos), { recursive: true });
  // In place of the rest of the package, which may be unbuilt.
  const paths = {
    "bun-plug/codegen-v1": [join(root, "src/codegen-v1.ts")],
    "bun-plug/plug_pb.js": [join(root, "codegen/gen/plug_pb.ts")],
  };
  const compilerOptions = {
    strict: true,
    module: "nodenext",
    target: "esnext",
    noEmit: true,
    paths,
  };
  await Bun.write(join(directory, "package.json"), JSON.stringify({ type: "module" }));
  await Bun.write(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions }));
}

async function installPrograms(): Promise<void> {
  const bin = join(directory, "bin");
  await mkdir(bin);
  await symlink(process.execPath, join(bin, "bun"));
  await run([process.execPath, join(root, "codegen/build.ts"), join(bin, "protoc-gen-plug")]);
  const es = join(root, "node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es");
  await Bun.write(join(bin, "protoc-gen-es"), `#!/bin/sh\nexec bun "${es}" "$@"\n`);
  await chmod(join(bin, "protoc-gen-es"), 0o755);
}

function generate(...more: string[]): Promise<Ended> {
  const buf = join(root, "node_modules/@bufbuild/buf/bin/buf");
  const PATH = [join(directory, "bin"), process.env["PATH"]].join(delimiter);
  return run([process.execPath, buf, "generate", ...more], { cwd: directory, env: { PATH } });
}

test("buf generate works as the README says, and Bun runs what it gives", async () => {
  expect(await generate()).toMatchObject({ code: 0, stderr: "" });

  const files = [...new Bun.Glob("gen/**").scanSync(directory)].sort();
  expect(files).toEqual(["gen/kv_pb.ts", "gen/kv_plug.ts"]);
  const messages = await Bun.file(join(directory, "gen/kv_pb.ts")).text();
  expect(messages).toContain('import { file_plug } from "bun-plug/plug_pb.js";');

  await Bun.write(
    join(directory, "main.ts"),
    `import { KV } from "./gen/kv_plug.ts"; console.log(KV.typeName, KV.version, KV.methods.length);`,
  );
  const ended = await run([process.execPath, "main.ts"], { cwd: directory });
  expect(ended.stderr).toBe("");
  expect(new TextDecoder().decode(ended.stdout)).toBe("example.KV 2 1\n");
});

test("imports have the extension .js by default, which Bun and nodenext find", async () => {
  await Promise.all([generateInto("js", []), generateInto("none", ["import_extension=none"])]);

  await Bun.write(
    join(directory, "main-js.ts"),
    `import { KV } from "./js/kv_plug.js"; console.log(KV.typeName);`,
  );
  const [ran, checked] = await Promise.all([
    run([process.execPath, "main-js.ts"], { cwd: directory }),
    run([process.execPath, "check", "--all", "js", "none"], { cwd: directory }),
  ]);
  expect(new TextDecoder().decode(ran.stdout)).toBe("example.KV\n");
  const complaints = (new TextDecoder().decode(checked.stdout) + checked.stderr).split("\n");
  expect(complaints.filter((line) => line.startsWith("js/kv_plug.ts"))).toEqual([]);
  // Without an extension there are some, or nothing was checked.
  expect(complaints.filter((line) => line.startsWith("none/kv_plug.ts"))).not.toBeEmpty();
});

async function generateInto(out: string, opt: readonly string[]): Promise<void> {
  const es = ["target=ts", "import_extension=js", "rewrite_imports=./plug_pb.js:bun-plug"];
  const template = {
    version: "v2",
    inputs: [{ directory: "proto" }],
    plugins: [
      { local: "protoc-gen-es", out, opt: es },
      { local: "protoc-gen-plug", out, opt },
    ],
  };
  const ended = await generate("--template", JSON.stringify(template));
  expect(ended).toMatchObject({ code: 0, stderr: "" });
}

test("an error of the generator is what buf prints, with file, line and service", async () => {
  const path = join(directory, "proto/kv.proto");
  const proto = await Bun.file(path).text();
  const rpcs = Array.from(
    { length: 250 },
    (_, i) => `rpc R${i}(GetRequest) returns (GetResponse);`,
  );
  await Bun.write(
    path,
    proto.replace("  rpc Get(", () => `  ${rpcs.join(" ")}\n  rpc Get(`),
  );

  const { code, stderr } = await generate();

  await Bun.write(path, proto);
  expect(stderr).toContain(
    "kv.proto:15: service example.KV: has 251 rpcs, and at most 250 are possible",
  );
  expect(code).not.toBe(0);
});
