// Runs the generator in this process, on .proto files that are given as text.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

import { createPlugin } from "../../../codegen/plugin/plugin.ts";

export const root = join(import.meta.dir, "../../..");

/** What one run gave: files by path or an error, and what went to stderr. */
export interface Generated {
  readonly files: Record<string, string>;
  readonly error: string;
  readonly warnings: readonly string[];
}

/** Generates from texts by path; `plug.proto` is there if one of them imports it. */
export async function generate(protos: Record<string, string>, parameter = ""): Promise<Generated> {
  return generateFrom(await requestOf(protos, parameter));
}

export function generateFrom(request: CodeGeneratorRequest): Generated {
  const warnings: string[] = [];
  const { file, error } = createPlugin((line) => warnings.push(line)).run(request);
  const files = Object.fromEntries(file.map(({ name, content }) => [name, content]));
  return { files, error, warnings };
}

export async function requestOf(
  protos: Record<string, string>,
  parameter = "",
): Promise<CodeGeneratorRequest> {
  const directory = await mkdtemp(join(tmpdir(), "bun-plug-test-"));
  try {
    for (const [path, text] of Object.entries(protos)) await Bun.write(join(directory, path), text);
    if (Object.values(protos).some((text) => text.includes('"plug.proto"'))) {
      const plug = Bun.file(join(root, "codegen/proto/plug.proto"));
      await Bun.write(join(directory, "plug.proto"), plug);
    }
    const protoFile = await compile(directory, directory);
    const fileToGenerate = Object.keys(protos);
    return create(CodeGeneratorRequestSchema, { protoFile, fileToGenerate, parameter });
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** All files of a module, imports first. */
export async function compile(cwd: string, input: string): Promise<FileDescriptorProto[]> {
  const buf = join(root, "node_modules/@bufbuild/buf/bin/buf");
  const child = Bun.spawn([process.execPath, buf, "build", input, "-o", "-"], {
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [image, complaints] = await Promise.all([child.stdout.bytes(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(complaints);
  return fromBinary(FileDescriptorSetSchema, image).file;
}
