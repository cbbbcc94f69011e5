// The entry of one rpc in its service's table.

import type { DescMethod } from "@bufbuild/protobuf";
import type { GeneratedFile } from "@bufbuild/protoplugin";

import { runtimePath } from "./names.ts";
import type { MethodPrint, ServicePrint } from "./service.ts";

// By kind: the type of the entry, and what says the kind in it.
const kinds = {
  unary: { type: "UnaryMethod", kind: "unary" },
  server_streaming: { type: "ServerStreamingMethod", kind: "server_streaming" },
  client_streaming: { type: "ClientStreamingMethod", kind: "client_streaming" },
  bidi_streaming: { type: "BidiStreamingMethod", kind: "bidi_streaming" },
} as const;

/** Prints the constant for an rpc of any kind. */
// prettier-ignore
export function printMethodTable(f: GeneratedFile, { names }: ServicePrint, method: MethodPrint): void {
  const { desc, response } = method;
  const { type, kind } = kinds[desc.methodKind];
  f.print();
  f.print("/** @generated from ", desc.toString(), " */");
  f.print("const ", method.constant, ": ", f.import(type, runtimePath, true), "<");
  f.print("  ", names.handler, ",");
  f.print("  typeof ", f.importSchema(desc.input, true), ",");
  if (streamsResponses(desc)) {
    f.print("  typeof ", f.importSchema(desc.output, true));
  } else {
    f.print("  typeof ", f.importSchema(desc.output, true), ",");
    f.print("  ", response.type("given"), ",");
    f.print("  ", response.type("received"));
  }
  f.print("> = {");
  f.print("  kind: ", f.string(kind), ",");
  f.print("  name: ", f.string(desc.name), ",");
  f.print("  localName: ", f.string(method.localName), ",");
  f.print("  input: ", method.input, ",");
  f.print("  output: ", method.output, ",");
  f.print("  handle: ", handle(method), ",");
  if (!streamsResponses(desc)) {
    f.print("  pack: ", response.pack, ",");
    f.print("  unpack: ", response.unpack, ",");
  }
  f.print("};");
}

function handle({ desc, localName, request: { read } }: MethodPrint): string {
  if (streamsRequests(desc)) {
    return `(handler, messages, context) => handler.${localName}(messages, context)`;
  }
  const parameter = read.length === 0 ? "_request" : "request";
  const args = [...read, "context"].join(", ");
  return `(handler, ${parameter}, context) => handler.${localName}(${args})`;
}

/** Whether the caller sends a stream of messages. */
export function streamsRequests(desc: DescMethod): boolean {
  return desc.methodKind === "client_streaming" || desc.methodKind === "bidi_streaming";
}

/** Whether the handler gives a stream of messages. */
export function streamsResponses(desc: DescMethod): boolean {
  return desc.methodKind === "server_streaming" || desc.methodKind === "bidi_streaming";
}
