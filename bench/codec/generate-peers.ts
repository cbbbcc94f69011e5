// Generates the other libraries' code for the benchmark's messages.
//
//   bun bench/codec/generate-peers.ts
//
// Ours and protobuf-es's are generated with the rest: bun codegen/gen.ts bench/codec/gen.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const bin = join(root, "node_modules/.bin");
const proto = "bench/codec/proto/codec_bench.proto";
const out = "bench/codec/gen/peer";

mkdirSync(join(root, out), { recursive: true });

await run([
  join(bin, "pbjs"),
  ...[
    "-t",
    "static-module",
    "-w",
    "es6",
    "--no-create",
    "--no-verify",
    "--no-convert",
    "--no-delimited",
    "--no-typeurl",
    "--no-service",
    "--no-comments",
  ],
  ...["-o", join(out, "protobufjs.js"), proto],
]);
await run([join(bin, "pbf"), proto], join(out, "pbf.js"));
await run([
  process.execPath,
  join(root, "node_modules/@bufbuild/buf/bin/buf"),
  "generate",
  "bench/codec/proto",
  "--template",
  JSON.stringify({
    version: "v2",
    plugins: [
      {
        local: join(bin, "protoc-gen-ts_proto"),
        out,
        // 64-bit integers as bigints, as protobuf-es and our codec have them.
        opt: [
          "forceLong=bigint",
          "outputJsonMethods=false",
          "outputPartialMethods=false",
          "esModuleInterop=true",
        ],
      },
    ],
  }),
]);
await run(["mv", join(out, "codec_bench.ts"), join(out, "ts-proto.ts")]);

async function run(command: readonly string[], stdoutTo?: string): Promise<void> {
  const child = Bun.spawn([...command], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed: ${text}`);
  if (stdoutTo !== undefined) await Bun.write(join(root, stdoutTo), text);
}
