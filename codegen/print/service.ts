// One service: the two interfaces, the client, the table, and the functions that users call.

import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";

import type { CodecPrint } from "./codec/messages.ts";
import { printCodec } from "./codec/print.ts";
import { serviceText } from "./doc.ts";
import { printMethodTable, streamsRequests, streamsResponses } from "./method-table.ts";
import { globalSymbol, inInterface, runtimePath, type ServiceNames } from "./names.ts";
import type { Argument, RequestForm, ResponseForm } from "./shape.ts";
import { messageType, type Side } from "./types.ts";

export interface ServicePrint {
  readonly desc: DescService;
  readonly names: ServiceNames;
  readonly magic: string;
  readonly version: number;
  readonly codec: CodecPrint;
  /** Codecs that no service before this one has needed. */
  readonly newCodecs: readonly { readonly name: string; readonly message: DescMessage }[];
  readonly methods: readonly MethodPrint[];
}

export interface MethodPrint {
  readonly desc: DescMethod;
  readonly localName: string;
  /** The entry of the table. */
  readonly constant: string;
  readonly request: RequestForm;
  readonly response: ResponseForm;
  /** The messages' codecs. */
  readonly input: string;
  readonly output: string;
}

/** What the caller of the runtime calls each kind. */
const callerMethods = {
  unary: "unary",
  server_streaming: "serverStreaming",
  client_streaming: "clientStreaming",
  bidi_streaming: "bidiStreaming",
} as const;

export function printService(f: GeneratedFile, service: ServicePrint): void {
  printInterface(f, service);
  f.print();
  printHandler(f, service);
  printCodecs(f, service);
  for (const method of service.methods) printMethodTable(f, service, method);
  printClient(f, service);
  printTable(f, service);
  printFunctions(f, service);
}

// prettier-ignore
function printInterface(f: GeneratedFile, { desc, names, methods }: ServicePrint): void {
  f.print(f.jsDoc(desc));
  if (methods.length === 0) return f.print(f.export("interface", names.service), " {}");
  f.print(f.export("interface", names.service), " {");
  for (const [index, method] of methods.entries()) {
    if (index > 0) f.print();
    f.print(f.jsDoc(method.desc, "  "));
    f.print("  ", inInterface(method.localName), callSignature(f, method), ";");
  }
  f.print("}");
}

// prettier-ignore
function printHandler(f: GeneratedFile, { desc, names, methods }: ServicePrint): void {
  const CallContext = f.import("CallContext", runtimePath, true);
  f.print(f.jsDoc(desc));
  if (methods.length === 0) return f.print(f.export("interface", names.handler), " {}");
  f.print(f.export("interface", names.handler), " {");
  for (const [index, method] of methods.entries()) {
    const args = argumentList(handlerArguments(f, method), "received", ["context: ", CallContext]);
    if (index > 0) f.print();
    f.print(f.jsDoc(method.desc, "  "));
    f.print("  ", inInterface(method.localName), args, ": ", handlerResult(f, method), ";");
  }
  f.print("}");
}

function printCodecs(f: GeneratedFile, { codec, newCodecs }: ServicePrint): void {
  for (const { name, message } of newCodecs) {
    f.print();
    printCodec(codec, message, ["const ", name]);
  }
}

// prettier-ignore
function printClient(f: GeneratedFile, { desc, names, methods }: ServicePrint): void {
  const Caller = f.import("Caller", runtimePath, true);
  const AsyncDisposable = globalSymbol(f, desc.file, "AsyncDisposable");
  const Promise = globalSymbol(f, desc.file, "Promise");
  const Symbol = globalSymbol(f, desc.file, "Symbol");
  f.print();
  f.print("class ", names.client, " implements ", names.service, ", ", AsyncDisposable, " {");
  f.print("  readonly #caller: ", Caller, ";");
  f.print();
  f.print("  constructor(caller: ", Caller, ") {");
  f.print("    this.#caller = caller;");
  f.print("  }");
  for (const method of methods) {
    f.print();
    f.print("  ", method.localName, callSignature(f, method), " {");
    const request = streamsRequests(method.desc) ? "messages" : method.request.init;
    f.print("    return this.#caller.", callerMethods[method.desc.methodKind], "(", method.constant, ", ", request, ", options);");
    f.print("  }");
  }
  f.print();
  f.print("  [", Symbol, ".asyncDispose](): ", Promise, "<void> {");
  f.print("    return this.#caller.close();");
  f.print("  }");
  f.print("}");
}

// prettier-ignore
function printTable(f: GeneratedFile, service: ServicePrint): void {
  const { desc, names } = service;
  const Service = f.import("Service", runtimePath, true);
  f.print();
  f.print(f.jsDoc(desc));
  f.print(f.export("const", names.service), ": ", Service, "<", names.service, ", ", names.handler, "> = {");
  f.print("  typeName: ", f.string(desc.typeName), ",");
  f.print("  index: ", desc.file.services.indexOf(desc), ",");
  f.print("  magic: ", JSON.stringify(service.magic), ",");
  f.print("  version: ", service.version, ",");
  f.print("  methods: [", service.methods.map((method) => method.constant).join(", "), "],");
  f.print("  client: ", names.client, ",");
  f.print("};");
}

// prettier-ignore
function printFunctions(f: GeneratedFile, { desc, names }: ServicePrint): void {
  const LoadOptions = f.import("LoadOptions", runtimePath, true);
  const RunOptions = f.import("RunOptions", runtimePath, true);
  const TestOptions = f.import("TestOptions", runtimePath, true);
  const AsyncDisposable = globalSymbol(f, desc.file, "AsyncDisposable");
  const Promise = globalSymbol(f, desc.file, "Promise");
  const URL = globalSymbol(f, desc.file, "URL");
  const client = [Promise, "<", names.service, " & ", AsyncDisposable, ">"];

  f.print();
  f.print(f.jsDoc(serviceText(desc, `Starts the plugin at \`path\` and gives its ${desc.name}.`)));
  f.print(f.export("function", names.load), "(path: string | ", URL, ", options?: ", LoadOptions, "): ", client, " {");
  f.print("  return ", f.import("loadService", runtimePath), "(", names.service, ", path, options);");
  f.print("}");

  const Sync = f.import("Sync", runtimePath, true);
  const Disposable = globalSymbol(f, desc.file, "Disposable");
  f.print();
  f.print(f.jsDoc(serviceText(desc, `Starts the plugin at \`path\` for a host that cannot await: this blocks, and so do calls.`)));
  f.print(f.export("function", names.loadSync), "(path: string | ", URL, ", options?: ", LoadOptions, "): ", Sync, "<", names.service, "> & ", Disposable, " {");
  f.print("  return ", f.import("loadServiceSync", runtimePath), "(", names.service, ", path, options);");
  f.print("}");

  f.print();
  f.print(f.jsDoc(serviceText(desc, `Serves ${desc.name} to the host that started this program, until it goes.`)));
  f.print(f.export("function", names.run), "(handler: ", names.handler, ", options?: ", RunOptions, "): ", Promise, "<void> {");
  f.print("  return ", f.import("runService", runtimePath), "(", names.service, ", handler, options);");
  f.print("}");

  f.print();
  f.print(f.jsDoc(serviceText(desc, `Connects a handler of ${desc.name} to a caller without a process, for tests.`)));
  f.print(f.export("function", names.test), "(handler: ", names.handler, ", options?: ", TestOptions, "): ", client, " {");
  f.print("  return ", f.import("testService", runtimePath), "(", names.service, ", handler, options);");
  f.print("}");
}

/** `(key: string, options?: CallOptions): Promise<Uint8Array>`. */
function callSignature(f: GeneratedFile, method: MethodPrint): Printable {
  const { desc, response } = method;
  const CallOptions = f.import("CallOptions", runtimePath, true);
  const args = argumentList(callerArguments(f, method), "given", ["options?: ", CallOptions]);
  const { file } = desc.parent;
  if (streamsResponses(desc)) {
    return [
      args,
      ": ",
      globalSymbol(f, file, "AsyncIterable"),
      "<",
      f.importShape(desc.output),
      ">",
    ];
  }
  return [args, ": ", globalSymbol(f, file, "Promise"), "<", response.type("received"), ">"];
}

// The elements of a stream are always messages.
function callerArguments(f: GeneratedFile, { desc, request }: MethodPrint): readonly Argument[] {
  if (!streamsRequests(desc)) return request.arguments;
  const MessageSource = f.import("MessageSource", runtimePath, true);
  const message = messageType(f, desc.input, "given");
  return [{ name: "messages", type: () => [MessageSource, "<", message, ">"] }];
}

function handlerArguments(f: GeneratedFile, { desc, request }: MethodPrint): readonly Argument[] {
  if (!streamsRequests(desc)) return request.arguments;
  const AsyncIterable = globalSymbol(f, desc.parent.file, "AsyncIterable");
  const message = f.importShape(desc.input);
  return [{ name: "messages", type: () => [AsyncIterable, "<", message, ">"] }];
}

function handlerResult(f: GeneratedFile, { desc, response }: MethodPrint): Printable {
  if (streamsResponses(desc)) {
    const MessageSource = f.import("MessageSource", runtimePath, true);
    return [MessageSource, "<", messageType(f, desc.output, "given"), ">"];
  }
  const result = response.type("given");
  return [result, " | ", globalSymbol(f, desc.parent.file, "Promise"), "<", result, ">"];
}

/** On one line, or from the fourth argument on, one line each. */
function argumentList(args: readonly Argument[], side: Side, last: Printable): Printable {
  const all = [...args.map((arg): Printable => [arg.name, ": ", arg.type(side)]), last];
  if (all.length <= 4) {
    return ["(", ...all.flatMap((arg, index) => (index === 0 ? [arg] : [", ", arg])), ")"];
  }
  return ["(\n", ...all.flatMap((arg) => ["    ", arg, ",\n"]), "  )"];
}
