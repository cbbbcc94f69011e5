#!/usr/bin/env bun
// The program protoc-gen-plug: reads a CodeGeneratorRequest from stdin, writes the response to
// stdout, and warnings to stderr. buf and protoc start it.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";

import { createPlugin } from "./plugin/plugin.ts";

const plugin = createPlugin((line) => complain(line));

const help = `protoc-gen-plug ${plugin.version}

Prints the callers' and the plugins' side of services in .proto files, in TypeScript for Bun.
It is run by buf or protoc, which talk to it on stdin and stdout:

  buf generate                        with  local: protoc-gen-plug  in buf.gen.yaml
  protoc --plug_out=gen kv.proto      with protoc-gen-plug in PATH

Messages come from protoc-gen-es, which runs beside it.

Options (--plug_opt=…, or opt: in buf.gen.yaml), separated by commas:

  calls=unwrapped|messages     get(key) → value, or get({ key }) → { value }
  codec=only                   codecs of all messages and no services
  import_extension=js|ts|none  of imports of generated files; js
  rewrite_imports=from:to      as protoc-gen-es has it
  keep_empty_files=true        also for files without services
  target=ts                    the only one
`;

await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<void> {
  const [first] = args;
  if (first === "--version" || first === "-v") {
    await write(process.stdout, `${plugin.name} ${plugin.version}\n`);
  } else if (first === "--help" || first === "-h") {
    await write(process.stdout, help);
  } else if (first !== undefined) {
    complain(`unknown argument "${first}"; see protoc-gen-plug --help`);
    process.exitCode = 1;
  } else if (process.stdin.isTTY) {
    // Somebody tries what it does, and would wait for ever.
    await write(process.stderr, help);
    process.exitCode = 1;
  } else {
    await generate();
  }
}

async function generate(): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);

  let request;
  try {
    request = fromBinary(CodeGeneratorRequestSchema, Buffer.concat(chunks));
  } catch (error) {
    complain(
      `stdin is not a CodeGeneratorRequest: ${error instanceof Error ? error.message : error}`,
    );
    process.exitCode = 1;
    return;
  }

  try {
    const response = plugin.run(request);
    await write(process.stdout, toBinary(CodeGeneratorResponseSchema, response));
  } catch (error) {
    // Faults of the input are in the response, so this one is ours: all that may help to find it.
    complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = 1;
  }
}

function complain(line: string): void {
  process.stderr.write(`${plugin.name}: ${line}\n`);
}

function write(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => (error ? reject(error) : resolve()));
  });
}
