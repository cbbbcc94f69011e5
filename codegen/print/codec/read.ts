// Prints `X$new()`, an empty message exactly as `create` makes it, and `X$read(r, end, m)`, which
// reads fields into a message up to `end`.

import { type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";
import type { Printable } from "@bufbuild/protoplugin";

import { propertyOf } from "../names.ts";
import { mapKeyType } from "../types.ts";
import type { CodecPrint } from "./messages.ts";
import {
  asEnum,
  hasPrototype,
  isLongAsString,
  readMessage,
  scalar,
  scalarOf,
  scalarOfField,
  zeroOf,
  zeroOfField,
} from "./values.ts";

// prettier-ignore
export function printNew(print: CodecPrint, message: DescMessage): void {
  const { f } = print;
  const Shape = f.importShape(message);
  const { create } = print.functions.get(message)!;
  const initial = message.members.flatMap((member) => {
    const value = initialOf(print, member);
    return value === undefined ? [] : [{ name: member.localName, value }];
  });
  const typeName = JSON.stringify(message.typeName);
  f.print();
  if (hasPrototype(message)) {
    const { prototype } = print.functions.get(message)!;
    const withDefaults = f.import("withDefaults", print.runtime);
    f.print("let ", prototype, ": object | undefined;");
    f.print();
    f.print("function ", create, "(): ", Shape, " {");
    f.print("  const m = ", withDefaults, "<", Shape, ">(", prototype, " ??= Object.getPrototypeOf(", f.runtime.create, "(", f.importSchema(message), ")) as object, ", typeName, ");");
    for (const { name, value } of initial) f.print("  ", propertyOf("m", name), " = ", value, ";");
    f.print("  return m;");
  } else {
    const members = initial.map(({ name, value }) => [", ", propertyName(name), ": ", value]);
    f.print("function ", create, "(): ", Shape, " {");
    f.print("  return { $typeName: ", typeName, members, " };");
  }
  f.print("}");
}

export function propertyName(localName: string): string {
  // The field `_1` is the property `1`; `__proto__` in quotes would still set the prototype.
  if (localName === "__proto__") return '["__proto__"]';
  return /^[A-Za-z_$][\w$]*$/.test(localName) ? localName : JSON.stringify(localName);
}

/** Undefined for what an empty message does not have. */
function initialOf(print: CodecPrint, member: DescField | DescOneof): Printable | undefined {
  if (member.kind === "oneof") return "{ case: undefined }";
  if (member.fieldKind === "list") return "[]";
  if (member.fieldKind === "map") return "{}";
  return member.presence === Presence.IMPLICIT ? zeroOfField(print, member) : undefined;
}

// prettier-ignore
export function printRead(print: CodecPrint, message: DescMessage): void {
  const { f } = print;
  const { create, read } = print.functions.get(message)!;
  const Shape = f.importShape(message);
  const Reader = f.import("Reader", print.runtime, true);
  const isGroup = print.groups.has(message);
  const group = isGroup ? ", group = 0" : "";
  f.print();
  f.print("function ", read, "(r: ", Reader, ", end: number, m: ", Shape, " = ", create, "()", group, "): ", Shape, " {");
  f.print("  while (r.pos < end) {");
  f.print("    const tag = r.tag();");
  if (isGroup) f.print("    if (group !== 0 && (tag & 7) === 4) return r.leaveGroup(m, group, tag);");
  if (message.fields.length === 0) {
    f.print("    r.unknown(m, tag);");
  } else {
    f.print("    switch (tag >>> 3) {");
    for (const field of message.fields) printCase(print, field);
    f.print("      default:");
    f.print("        r.unknown(m, tag);");
    f.print("    }");
  }
  f.print("  }");
  f.print("  return ", isGroup ? "group === 0 ? r.leave(m) : r.leaveGroup(m, group, 0)" : "r.leave(m)", ";");
  f.print("}");
}

function printCase(print: CodecPrint, field: DescField): void {
  const lines = caseLines(print, field);
  const isBlock = lines.some((line) => /^(?:let|const) /.test(String(firstOf(line))));
  print.f.print("      case ", field.number, isBlock ? ": {" : ":");
  for (const line of lines) print.f.print("        ", line);
  print.f.print("        break;");
  if (isBlock) print.f.print("      }");
}

function firstOf(line: Printable): unknown {
  return Array.isArray(line) ? firstOf(line[0] as Printable) : line;
}

function caseLines(print: CodecPrint, field: DescField): Printable[] {
  if (field.fieldKind === "list") return listLines(print, field);
  if (field.fieldKind === "map") return mapLines(print, field);
  if (field.fieldKind === "enum" && !field.enum.open) return closedEnumLines(print, field);
  if (field.fieldKind !== "message") return [assign(field, readScalar(print, field))];
  if (field.oneof === undefined) {
    const value = propertyOf("m", field.localName);
    return [[value, " = ", readMessage(print, field, value), ";"]];
  }
  const owner = propertyOf("m", field.oneof.localName);
  const name = JSON.stringify(field.localName);
  return [assign(field, readMessage(print, field, `${owner}.value`, `${owner}.case === ${name}`))];
}

/** Sets the field, which may be in a oneof. */
function assign(field: DescField, value: Printable): Printable {
  if (field.oneof === undefined) return [propertyOf("m", field.localName), " = ", value, ";"];
  const owner = propertyOf("m", field.oneof.localName);
  return [owner, " = { case: ", JSON.stringify(field.localName), ", value: ", value, " };"];
}

function readScalar(print: CodecPrint, field: DescField): Printable {
  const value = [scalarOfField(print, field), ".read(r)"];
  if (field.enum !== undefined) return asEnum(print, field.enum, value);
  return isLongAsString(field) ? ["String(", value, ")"] : value;
}

// What a closed enum does not have is kept as an unknown field.
function closedEnumLines(print: CodecPrint, field: DescField & { fieldKind: "enum" }): Printable[] {
  const value = [scalarOfField(print, field), ".read(r)"];
  return [
    ["const v = ", value, ";"],
    [
      "if (",
      isOneOf(field.enum.values.map(({ number }) => number)),
      ") ",
      assign(field, asEnum(print, field.enum, "v")),
    ],
    "else r.unknownEnum(m, tag, v);",
  ];
}

function isOneOf(numbers: readonly number[]): string {
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  const [min = 0, max = 0] = [distinct[0], distinct.at(-1)];
  if (max - min === distinct.length - 1) return `v >= ${min} && v <= ${max}`;
  return `[${distinct.join(", ")}].includes(v)`;
}

function listLines(print: CodecPrint, field: DescField & { fieldKind: "list" }): Printable[] {
  const list = propertyOf("m", field.localName);
  if (field.listKind === "message") return [[list, ".push(", readMessage(print, field), ");"]];
  const push = [list, ".push(", readScalar(print, field), ");"];
  const type = scalarOf(field);
  if (type === ScalarType.STRING || type === ScalarType.BYTES) return [push];
  if (!isLongAsString(field))
    return [[scalarOfField(print, field), ".readAll(r, tag, ", list, ");"]];
  return [
    ["if ((tag & 7) === 2) for (const end = r.packed(); r.pos < end; ) ", push],
    ["else ", push],
  ];
}

function mapLines(print: CodecPrint, field: DescField & { fieldKind: "map" }): Printable[] {
  const { f, runtime } = print;
  const key = scalar(print, field.mapKey, field.utf8Validation);
  const value =
    field.message === undefined ? readScalar(print, field) : readMessage(print, field, "v");
  const map = propertyOf("m", field.localName);
  const k =
    field.mapKey === ScalarType.STRING || mapKeyType(field.mapKey) === "number" ? "k" : "String(k)";
  const set =
    field.mapKey === ScalarType.STRING
      ? [f.import("setEntry", runtime), "(", map, ", k, ", finalValue(print, field), ");"]
      : [map, "[", k, "] = ", finalValue(print, field), ";"];
  return [
    ["let k = ", keyZero(print, field), ";"],
    ["let v", valueStart(print, field), ";"],
    "for (const end = r.packed(); r.pos < end; ) {",
    "  const tag = r.tag();",
    ["  if (tag >>> 3 === 1) k = ", key, ".read(r);"],
    ["  else if (tag >>> 3 === 2) v = ", value, ";"],
    "  else r.skip(tag);",
    "}",
    set,
  ];
}

function keyZero(print: CodecPrint, field: DescField & { fieldKind: "map" }): Printable {
  return zeroOf(print, field.mapKey, false);
}

function valueStart(print: CodecPrint, field: DescField & { fieldKind: "map" }): Printable {
  const { f } = print;
  if (field.message !== undefined) {
    const type =
      field.message.typeName === "google.protobuf.Struct" &&
      field.parent?.typeName !== "google.protobuf.Value"
        ? f.runtime.JsonObject
        : f.importShape(field.message);
    return [": ", type, " | undefined"];
  }
  if (field.enum !== undefined)
    return [": ", f.importShape(field.enum), " = ", zeroOfField(print, field)];
  return [" = ", zeroOf(print, field.scalar, false)];
}

function finalValue(print: CodecPrint, field: DescField & { fieldKind: "map" }): Printable {
  if (field.message === undefined) return "v";
  const isStruct =
    field.message.typeName === "google.protobuf.Struct" &&
    field.parent?.typeName !== "google.protobuf.Value";
  return ["v ?? ", isStruct ? "{}" : [print.functions.get(field.message)!.create, "()"]];
}
