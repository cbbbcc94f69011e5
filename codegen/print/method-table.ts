// The entry of one rpc in its service's table.

import type { GeneratedFile } from "@bufbuild/protoplugin";

import { runtimePath } from "./names.ts";
import type { MethodPrint, ServicePrint } from "./service.ts";

/** Prints the constant for an rpc of any kind. */
export function printMethodTable(f: GeneratedFile, service: ServicePrint, method: MethodPrint) {
  switch (method.desc.methodKind) {
    case "unary":
      printUnary(f, service, method);
      break;
    default:
      // ../plugin/check.ts lets no other kind through.
      throw new Error(`cannot print ${method.desc.toString()}`);
  }
}

// prettier-ignore
function printUnary(f: GeneratedFile, { names }: ServicePrint, method: MethodPrint): void {
  const { desc, response } = method;
  const { read } = method.request;
  const UnaryMethod = f.import("UnaryMethod", runtimePath, true);
  f.print();
  f.print("/** @generated from ", desc.toString(), " */");
  f.print("const ", method.constant, ": ", UnaryMethod, "<");
  f.print("  ", names.handler, ",");
  f.print("  typeof ", f.importSchema(desc.input, true), ",");
  f.print("  typeof ", f.importSchema(desc.output, true), ",");
  f.print("  ", response.type("given"), ",");
  f.print("  ", response.type("received"));
  f.print("> = {");
  f.print('  kind: "unary",');
  f.print("  name: ", f.string(desc.name), ",");
  f.print("  localName: ", f.string(method.localName), ",");
  f.print("  input: ", method.input, ",");
  f.print("  output: ", method.output, ",");
  f.print("  handle: (handler, ", read.length === 0 ? "_request" : "request", ", context) => handler.", method.localName, "(", [...read, "context"].join(", "), "),");
  f.print("  pack: ", response.pack, ",");
  f.print("  unpack: ", response.unpack, ",");
  f.print("};");
}
