// Prints the functions of all messages that a file's codecs reach.

import type { DescMessage } from "@bufbuild/protobuf";
import type { Printable } from "@bufbuild/protoplugin";

import { type CodecPrint, keepsSizes } from "./messages.ts";
import { printNew, printRead } from "./read.ts";
import { printSize } from "./size.ts";
import { printWrite } from "./write.ts";

/** Functions are hoisted, so these may stand behind the codecs that are made of them. */
export function printFunctions(print: CodecPrint): void {
  for (const message of print.functions.keys()) {
    printNew(print, message);
    printSize(print, message);
    printWrite(print, message);
    printRead(print, message);
  }
}

/** `codecOf(XSchema, X$size, X$write, X$read)`. */
// prettier-ignore
export function codecExpression(print: CodecPrint, message: DescMessage): Printable {
  const { f, runtime } = print;
  const { size, write, read } = print.functions.get(message)!;
  const factory = keepsSizes(message) ? "codecOf" : "flatCodecOf";
  return ["/*@__PURE__*/ ", f.import(factory, runtime), "(", f.importSchema(message), ", ", size, ", ", write, ", ", read, ")"];
}
