// The way through a message's set fields, which `size` and `write` share: whatever `size` keeps a
// place for, `write` finds in the same order.

import { type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";
import type { Printable } from "@bufbuild/protoplugin";

import { propertyOf } from "../names.ts";
import { mapKeyType } from "../types.ts";
import { byNumber, type CodecPrint } from "./messages.ts";
import { isSet } from "./values.ts";

/** What is printed for the value of a field, given where the value is. */
export interface FieldPrinter {
  /** One value, with its tag. A whole statement, as all of these. */
  one(field: DescField, value: Printable): Printable;
  /** A list of values without tags of their own; it is not empty. */
  packed(field: DescField & { fieldKind: "list" }, list: string): Printable;
  /** An entry of a map, by its key as a string and its value. */
  entry(field: DescField & { fieldKind: "map" }, key: Printable, value: Printable): Printable;
}

/** Prints statements for all fields that are set. */
export function printFields(print: CodecPrint, message: DescMessage, printer: FieldPrinter): void {
  let oneof: DescOneof | undefined;
  for (const field of byNumber(message)) {
    if (oneof !== undefined && field.oneof !== oneof) print.f.print("  }");
    if (field.oneof !== undefined) {
      const owner = propertyOf("m", field.oneof.localName);
      if (field.oneof !== oneof) print.f.print("  switch (", owner, ".case) {");
      print.f.print("    case ", JSON.stringify(field.localName), ":");
      print.f.print("      ", printer.one(field, `${owner}.value`));
      print.f.print("      break;");
    } else {
      printField(print, field, printer);
    }
    oneof = field.oneof;
  }
  if (oneof !== undefined) print.f.print("  }");
}

// prettier-ignore
function printField(print: CodecPrint, field: DescField, printer: FieldPrinter): void {
  const { f } = print;
  const value = propertyOf("m", field.localName);
  if (field.fieldKind === "list") {
    const loop = field.packed
      ? ["if (", value, ".length > 0) ", printer.packed(field, value)]
      : ["for (const v of ", value, ") ", printer.one(field, "v")];
    f.print("  ", loop);
  } else if (field.fieldKind === "map") {
    const index = mapKeyType(field.mapKey) === "number" ? "k as unknown as number" : "k";
    f.print("  for (const k of ", "Object", ".keys(", value, ")) {");
    f.print("    const v = ", value, "[", index, "]!;");
    f.print("    ", printer.entry(field, keyOf(field.mapKey), "v"));
    f.print("  }");
  } else {
    f.print("  if (", isSet(print, field), ") ", printer.one(field, value));
    if (field.presence === Presence.LEGACY_REQUIRED) {
      f.print("  else ", f.import("requiredIsUnset", print.runtime), "();");
    }
  }
}

/** A property's name as the key that it stands for. */
function keyOf(type: ScalarType): Printable {
  switch (type) {
    case ScalarType.STRING:
      return "k";
    case ScalarType.BOOL:
      return 'k === "true"';
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return "k";
    default:
      return "Number.parseInt(k)";
  }
}
