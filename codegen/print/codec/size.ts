// Prints `X$size(m)`: how many bytes a message takes. It also refuses what cannot be encoded, so
// that `X$write` need not look.

import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { Printable } from "@bufbuild/protoplugin";

import { type CodecPrint, isGroup } from "./messages.ts";
import { scalar, scalarOf, scalarOfField, tagBytes, toMessage } from "./values.ts";
import { printFields } from "./walk.ts";

// prettier-ignore
export function printSize(print: CodecPrint, message: DescMessage): void {
  const { f } = print;
  f.print();
  f.print("function ", print.functions.get(message)!.size, "(m: ", f.importShape(message), "): number {");
  f.print("  let n = 0;");
  printFields(print, message, {
    one: (field, value) => ["n += ", plus(tagBytes(field.number), sizeOf(print, field, value)), ";"],
    packed: (field, list) => packed(print, field, list),
    entry: (field, key, value) => {
      const inner = [plus(1, scalarSize(print, field.mapKey, key)), " + ", plus(1, sizeOf(print, field, value))];
      return ["n += ", plus(tagBytes(field.number), held(print, inner)), ";"];
    },
  });
  f.print("  if (m.$unknown !== undefined) n += ", f.import("unknownSize", print.runtime), "(m.$unknown);");
  f.print("  return n;");
  f.print("}");
}

function plus(byteCount: number, more: Printable): Printable {
  return typeof more === "number" ? byteCount + more : [byteCount, " + ", more];
}

/** The size of a value without its tag. */
function sizeOf(print: CodecPrint, field: DescField, value: Printable): Printable {
  if (field.message === undefined) {
    // Compilers complain of a loop that does not use what it goes through.
    const width = value === "v" ? undefined : fixedWidth(scalarOf(field));
    return width ?? [scalarOfField(print, field), ".size(", value, ")"];
  }
  const { size } = print.functions.get(field.message)!;
  const inner = [size, "(", toMessage(print, field, value), ")"];
  return isGroup(field) ? plus(tagBytes(field.number), inner) : held(print, inner);
}

function scalarSize(print: CodecPrint, type: ScalarType, value: Printable): Printable {
  return fixedWidth(type) ?? [scalar(print, type), ".size(", value, ")"];
}

// Of a bool, every value can be written; all others are looked at.
function fixedWidth(type: ScalarType): number | undefined {
  return type === ScalarType.BOOL ? 1 : undefined;
}

/** A size that `write` needs again. The place for it is taken before what is inside takes its own. */
function held(print: CodecPrint, inner: Printable): Printable {
  const { f, runtime } = print;
  return [f.import("held", runtime), "(", f.import("hold", runtime), "(), ", inner, ")"];
}

function packed(print: CodecPrint, field: DescField, list: string): Printable {
  const size = [scalarOfField(print, field), ".sizeAll(", list, ")"];
  return ["n += ", plus(tagBytes(field.number), held(print, size)), ";"];
}
