// The generator: a CodeGeneratorRequest in, a CodeGeneratorResponse out.
//
// Pure but for the warnings: no files, no clock, no environment, so the same input gives the same
// bytes everywhere.

import { create } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema } from "@bufbuild/protobuf/wkt";
import { createEcmaScriptPlugin, type Plugin, type Schema } from "@bufbuild/protoplugin";

import packageJson from "../../package.json" with { type: "json" };
import { printCodecFile } from "../print/codec/file.ts";
import { printFile, type ServiceInput } from "../print/file.ts";
import { checkFiles } from "./check.ts";
import { lookAlikes } from "./look-alike.ts";
import { parseOptions, type PlugOptions, withDefaults } from "./options.ts";
import { InputError } from "./problem.ts";
import { serviceOptions } from "./service-options.ts";
import { sortImports } from "./sort-imports.ts";

/** `warn` takes one line at a time, without a newline. */
export function createPlugin(warn: (line: string) => void): Plugin {
  const plugin = createEcmaScriptPlugin<PlugOptions>({
    name: "protoc-gen-plug",
    version: `v${packageJson.version}`,
    parseOptions,
    generateTs: (schema) => generate(schema, warn),
  });

  return {
    name: plugin.name,
    version: plugin.version,

    // The protocol wants faults of the input in the response; protoc and buf then print the text
    // as it is. What else is thrown is ours, and ends the process.
    run(request) {
      try {
        const response = plugin.run({ ...request, parameter: withDefaults(request.parameter) });
        for (const file of response.file) file.content = sortImports(file.content);
        return response;
      } catch (error) {
        if (!isInputFault(error)) throw error;
        // From an empty request comes an empty response, with the features that protoc checks first.
        const response = plugin.run(
          create(CodeGeneratorRequestSchema, { parameter: withDefaults("") }),
        );
        response.error = error.message;
        return response;
      }
    },
  };
}

function generate(schema: Schema<PlugOptions>, warn: (line: string) => void): void {
  if (schema.options.codecOnly) {
    for (const file of schema.files)
      printCodecFile(schema.generateFile(`${file.name}_codec.ts`), file);
    return;
  }
  checkFiles(schema.files);
  for (const file of schema.files) {
    const services = file.services.map((desc): ServiceInput => {
      const { calls = schema.options.calls, ...rest } = serviceOptions(desc, schema.allFiles);
      if (calls === "unwrapped") lookAlikes(desc).forEach(warn);
      return { desc, calls, ...rest };
    });
    printFile(schema.generateFile(`${file.name}_plug.ts`), file, services);
  }
}

function isInputFault(error: unknown): error is Error {
  // protoplugin throws plain errors for faults of a request, such as an edition that it does not
  // know, and one class of its own for options, which it does not export.
  return (
    error instanceof InputError ||
    (error instanceof Error && (error.constructor === Error || error.name === "PluginOptionError"))
  );
}
