// Prints `X$from(i)`, which makes a message of what users may pass in its place, exactly as
// `create` does. Printed, because `create` needs the message's schema, which a plugin would have to
// evaluate before it can answer, and because it takes less time.

import { type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";
import type { Printable } from "@bufbuild/protoplugin";

import { propertyOf } from "../names.ts";
import type { CodecPrint } from "./messages.ts";
import { propertyName } from "./read.ts";
import { hasPrototype, isGivenAsMessage, isUnwrapped, zeroOfField } from "./values.ts";

// prettier-ignore
export function printFrom(print: CodecPrint, message: DescMessage): void {
  const { f, runtime } = print;
  if (!print.given.has(message)) return;
  const { from } = print.functions.get(message)!;
  const Shape = f.importShape(message);
  const MessageInitShape = f.import("MessageInitShape", "@bufbuild/protobuf", true);
  const typeName = JSON.stringify(message.typeName);
  const isPrinted = !hasPrototype(message);
  const schema = f.importSchema(message, isPrinted);
  f.print();
  f.print("function ", from, "(i: ", MessageInitShape, "<typeof ", schema, ">): ", Shape, " {");
  f.print("  if (", f.import("isMade", runtime), "(i, ", typeName, ")) return i as ", Shape, ";");
  if (isPrinted) {
    printMembers(print, message, Shape, typeName);
  } else {
    f.print("  return ", f.runtime.create, "(", schema, ", i);");
  }
  f.print("}");
}

// prettier-ignore
function printMembers(print: CodecPrint, message: DescMessage, Shape: Printable, typeName: string): void {
  const { f } = print;
  const always: Printable[] = [];
  const later: DescField[] = [];
  const oneofs: DescOneof[] = [];
  for (const member of message.members) {
    if (member.kind === "oneof") {
      always.push([", ", propertyName(member.localName), ": { case: undefined }"]);
      oneofs.push(member);
    } else if (isAlwaysThere(member)) {
      always.push([", ", propertyName(member.localName), ": ", initial(print, member)]);
    } else {
      later.push(member);
    }
  }
  const literal = ["{ $typeName: ", typeName, always, " }"];
  if (later.length === 0 && oneofs.length === 0) {
    f.print("  return ", literal, ";");
    return;
  }
  f.print("  const m: ", Shape, " = ", literal, ";");
  for (const field of later) {
    const [to, value] = [propertyOf("m", field.localName), propertyOf("i", field.localName)];
    f.print("  if (", value, " != null) ", to, " = ", converted(print, field, value), ";");
  }
  for (const oneof of oneofs) printOneof(print, oneof);
  f.print("  return m;");
}

// prettier-ignore
function printOneof(print: CodecPrint, oneof: DescOneof): void {
  const { f } = print;
  const [to, from] = [propertyOf("m", oneof.localName), propertyOf("i", oneof.localName)];
  f.print("  switch (", from, "?.case) {");
  for (const field of oneof.fields) {
    const name = JSON.stringify(field.localName);
    f.print("    case ", name, ":");
    f.print("      ", to, " = { case: ", name, ", value: ", converted(print, field, `${from}.value`), " };");
    f.print("      break;");
  }
  f.print("  }");
}

function isAlwaysThere(field: DescField): boolean {
  return (
    field.fieldKind === "list" ||
    field.fieldKind === "map" ||
    (field.fieldKind !== "message" && field.presence === Presence.IMPLICIT)
  );
}

/** The value of a member that every message has. */
function initial(print: CodecPrint, field: DescField): Printable {
  const value = propertyOf("i", field.localName);
  if (field.fieldKind !== "list" && field.fieldKind !== "map") {
    const orZero: Printable = [value, " ?? ", zeroOfField(print, field)];
    return isBytes(field) ? [conversion(print, field)!, "(", orZero, ")"] : orZero;
  }
  const convert = conversion(print, field);
  const [empty, helper] = field.fieldKind === "list" ? ["[]", "listOf"] : ["{}", "mapOf"];
  if (convert === undefined) return [value, " ?? ", empty];
  return [print.f.import(helper, print.runtime), "(", value, ", ", convert, ")"];
}

function converted(print: CodecPrint, field: DescField, value: string): Printable {
  const convert = conversion(print, field);
  return convert === undefined ? value : [convert, "(", value, ")"];
}

/** The function that makes a field's value, or an item of it, of what is given, if there is one. */
function conversion(print: CodecPrint, field: DescField): Printable | undefined {
  if (isBytes(field)) return print.f.import("bytesOf", print.runtime);
  return isGivenAsMessage(field)
    ? print.functions.get(field.message as DescMessage)!.from
    : undefined;
}

function isBytes(field: DescField): boolean {
  if (isUnwrapped(field)) return field.message?.fields[0]?.scalar === ScalarType.BYTES;
  return field.scalar === ScalarType.BYTES;
}
