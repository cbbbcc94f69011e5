// One output file: all services of one .proto file.

import type { DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import type { GeneratedFile } from "@bufbuild/protoplugin";

import type { CallStyle } from "../plugin/options.ts";
import { codecPrint } from "./codec/messages.ts";
import { printFunctions } from "./codec/print.ts";
import { NameScope, runtimePath, serviceNames, usedGlobals } from "./names.ts";
import { type MethodPrint, printService } from "./service.ts";
import { requestForm, responseForm } from "./shape.ts";

export interface ServiceInput {
  readonly desc: DescService;
  readonly calls: CallStyle;
  readonly magic: string;
  readonly version: number;
}

/** Prints nothing for a file without services, and protoplugin then leaves the file out. */
export function printFile(
  f: GeneratedFile,
  file: DescFile,
  services: readonly ServiceInput[],
): void {
  f.preamble(file);
  if (services.length === 0) return;

  const scope = new NameScope(usedGlobals);
  const allNames = serviceNames(file, scope);
  const codecs = new Map<DescMessage, string>();
  const roots = services.flatMap(({ desc }) =>
    desc.methods.flatMap(({ input, output }) => [input, output]),
  );
  const codec = codecPrint(f, runtimePath, roots, scope);

  for (const [index, { desc, calls, magic, version }] of services.entries()) {
    const names = allNames.get(desc)!;
    const newCodecs = nameCodecs(f, desc, codecs, scope).map((message) => {
      return { name: codecs.get(message)!, message };
    });
    const methods = desc.methods.map((method): MethodPrint => {
      const { local, constant } = names.methods.get(method)!;
      return {
        desc: method,
        localName: local,
        constant,
        request: requestForm(f, method.input, calls),
        response: responseForm(f, method.output, calls),
        input: codecs.get(method.input)!,
        output: codecs.get(method.output)!,
      };
    });
    if (index > 0) f.print();
    printService(f, { desc, names, magic, version, codec, newCodecs, methods });
  }
  printFunctions(codec);
}

/** Names a codec for each message that the service takes or gives and that has none yet. */
function nameCodecs(
  f: GeneratedFile,
  service: DescService,
  codecs: Map<DescMessage, string>,
  scope: NameScope,
): DescMessage[] {
  const added: DescMessage[] = [];
  for (const message of service.methods.flatMap(({ input, output }) => [input, output])) {
    if (codecs.has(message)) continue;
    codecs.set(message, scope.take(`${f.importShape(message).name}$codec`));
    added.push(message);
  }
  return added;
}
