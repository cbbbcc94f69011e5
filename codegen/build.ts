// Builds the published generator: one file without dependencies.
//
//   bun codegen/build.ts [outfile]     dist/protoc-gen-plug.js by default
//
// protoplugin brings the TypeScript compiler along, to turn TypeScript into JavaScript, which this
// generator refuses to do (./plugin/options.ts). With it, the bundle has 8.7 MB.

import { chmod } from "node:fs/promises";
import { join, resolve } from "node:path";

import type { BunPlugin } from "bun";

const outfile = resolve(process.argv[2] ?? join(import.meta.dir, "../dist/protoc-gen-plug.js"));

const stubTypeScript: BunPlugin = {
  name: "stub-typescript",
  setup(build) {
    build.onResolve({ filter: /^(typescript|@typescript\/vfs)$/ }, ({ path }) => {
      return { path, namespace: "stub" };
    });
    build.onLoad({ filter: /.*/, namespace: "stub" }, () => {
      return { contents: "module.exports = {};", loader: "js" };
    });
  },
};

// All that the generator reads of it is the version; the rest would make the bundle change with
// every script.
const onlyVersion: BunPlugin = {
  name: "only-version",
  setup(build) {
    build.onLoad({ filter: /\/package\.json$/ }, async ({ path }) => {
      const { version } = (await Bun.file(path).json()) as { version: string };
      return { contents: JSON.stringify({ version }), loader: "json" };
    });
  },
};

const { outputs } = await Bun.build({
  entrypoints: [join(import.meta.dir, "protoc-gen-plug.ts")],
  // Paths in the bundle's comments are relative to it.
  root: import.meta.dir,
  // Bun runs this too, and with Node one can tell a fault of ours from one of Bun's.
  target: "node",
  minify: { syntax: true, whitespace: true },
  banner: [
    "// protoc-gen-plug of bun-plug, MIT License. Contains @bufbuild/protoplugin and",
    "// @bufbuild/protobuf, Copyright 2021-2026 Buf Technologies, Inc., Apache License 2.0:",
    "// https://www.apache.org/licenses/LICENSE-2.0",
  ].join("\n"),
  plugins: [stubTypeScript, onlyVersion],
});
await Bun.write(outfile, outputs[0]!);
await chmod(outfile, 0o755);
