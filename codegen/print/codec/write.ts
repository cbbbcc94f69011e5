// Prints `X$write(m, b, p)`: writes a message that `X$size` has just sized, and returns the offset
// behind it. Fields go in the order of their numbers, and then what is unknown.

import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Printable } from "@bufbuild/protoplugin";

import { type CodecPrint, isGroup } from "./messages.ts";
import {
  scalar,
  scalarOf,
  scalarOfField,
  toMessage,
  WireType,
  wireTypeOf,
  writeTag,
} from "./values.ts";
import { printFields } from "./walk.ts";

// prettier-ignore
export function printWrite(print: CodecPrint, message: DescMessage): void {
  const { f } = print;
  const Uint8Array = "Uint8Array";
  f.print();
  f.print("function ", print.functions.get(message)!.write, "(m: ", f.importShape(message), ", b: ", Uint8Array, ", p: number): number {");
  printFields(print, message, {
    one: (field, value) => ["{ ", writeOne(print, field, value, field.number), " }"],
    packed: (field, list) => [
      "{ ", writeTag(field.number, WireType.length),
      " p = ", scalarOfField(print, field), ".writeAll(", list, ", b, ", f.import("writeHeld", print.runtime), "(b, p)); }",
    ],
    entry: (field, key, value) => [
      writeTag(field.number, WireType.length), " ", writeLength(print), "\n    ",
      writeTag(1, wireTypeOf(field.mapKey)), " p = ", scalar(print, field.mapKey), ".write(", key, ", b, p);\n    ",
      writeOne(print, field, value, 2),
    ],
  });
  f.print("  if (m.$unknown !== undefined) p = ", f.import("writeUnknown", print.runtime), "(m.$unknown, b, p);");
  f.print("  return p;");
  f.print("}");
}

/** Writes the tag and the value. */
function writeOne(print: CodecPrint, field: DescField, value: Printable, no: number): Printable {
  if (field.message === undefined) {
    const wireType = wireTypeOf(scalarOf(field));
    return [
      writeTag(no, wireType),
      " p = ",
      scalarOfField(print, field),
      ".write(",
      value,
      ", b, p);",
    ];
  }
  const { write } = print.functions.get(field.message)!;
  const message = toMessage(print, field, value);
  if (isGroup(field)) {
    const [start, end] = [writeTag(no, WireType.startGroup), writeTag(no, WireType.endGroup)];
    return [start, " p = ", write, "(", message, ", b, p); ", end];
  }
  const writeHeld = print.f.import("writeHeld", print.runtime);
  return [
    writeTag(no, WireType.length),
    " p = ",
    write,
    "(",
    message,
    ", b, ",
    writeHeld,
    "(b, p));",
  ];
}

function writeLength(print: CodecPrint): Printable {
  return ["p = ", print.f.import("writeHeld", print.runtime), "(b, p);"];
}
