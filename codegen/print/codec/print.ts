// Prints the functions of all messages that a file's codecs reach.

import type { DescMessage } from "@bufbuild/protobuf";
import type { Printable } from "@bufbuild/protoplugin";

import { type CodecPrint, keepsSizes } from "./messages.ts";
import { printFrom } from "./from.ts";
import { printNew, printRead } from "./read.ts";
import { printSize } from "./size.ts";
import { printWrite } from "./write.ts";

/** Functions are hoisted, so these may stand behind the codecs that are made of them. */
export function printFunctions(print: CodecPrint): void {
  for (const message of print.functions.keys()) {
    printNew(print, message);
    printFrom(print, message);
    printSize(print, message);
    printWrite(print, message);
    printRead(print, message);
  }
}

/** Prints the rest of `const XCodec`: its type, and an object of the message's functions. */
// prettier-ignore
export function printCodec(print: CodecPrint, message: DescMessage, name: Printable): void {
  const { f, runtime } = print;
  const { from, size, write, read } = print.functions.get(message)!;
  const MessageCodec = f.import("MessageCodec", runtime, true);
  const MessageInitShape = f.import("MessageInitShape", "@bufbuild/protobuf", true);
  const Shape = f.importShape(message);
  const schema = f.importSchema(message, true);
  const reader = f.import("reader", runtime);
  const typeName = JSON.stringify(message.typeName);
  const keeps = keepsSizes(message);
  const sized = keeps ? [f.import("beginSize", runtime), "(m)"] : "m";
  f.print(name, ": ", MessageCodec, "<", Shape, ", ", MessageInitShape, "<typeof ", schema, ">> = {");
  f.print("  typeName: ", typeName, ",");
  f.print("  from: (init) => ", from, "(init ?? {}),");
  f.print("  size(m) {");
  f.print("    try {");
  f.print("      return ", size, "(", sized, ");");
  f.print("    } catch (error) {");
  f.print("      throw ", f.import("notEncodable", runtime), "(", typeName, ", m, ", size, ", error);");
  f.print("    }");
  f.print("  },");
  if (keeps) {
    f.print("  write: (m, b, p) => ", write, "(", f.import("beginWrite", runtime), "(m, ", size, "), b, p),");
  } else {
    f.print("  write: ", write, ",");
  }
  f.print("  read: (b, from, to, owned) => ", reader, ".end(", read, "(", reader, ".start(", typeName, ", b, from, to, owned), to)),");
  f.print("};");
}
