// How values of fields are written down in the output: by which of the shared functions they are
// sized, written and read, what they are when they are unset, and when they are set.

import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { FeatureSet_FieldPresence as Presence, Edition } from "@bufbuild/protobuf/wkt";
import type { Printable } from "@bufbuild/protoplugin";

import { propertyOf } from "../names.ts";
import { isStructField } from "../types.ts";
import { type CodecPrint, isGroup } from "./messages.ts";

export const WireType = { varint: 0, bit64: 1, length: 2, startGroup: 3, endGroup: 4, bit32: 5 };

// What the runtime calls each type.
const scalarNames: Record<ScalarType, string> = {
  [ScalarType.DOUBLE]: "double",
  [ScalarType.FLOAT]: "float",
  [ScalarType.INT64]: "int64",
  [ScalarType.UINT64]: "uint64",
  [ScalarType.INT32]: "int32",
  [ScalarType.FIXED64]: "fixed64",
  [ScalarType.FIXED32]: "fixed32",
  [ScalarType.BOOL]: "bool",
  [ScalarType.STRING]: "string",
  [ScalarType.BYTES]: "bytes",
  [ScalarType.UINT32]: "uint32",
  [ScalarType.SFIXED32]: "sfixed32",
  [ScalarType.SFIXED64]: "sfixed64",
  [ScalarType.SINT32]: "sint32",
  [ScalarType.SINT64]: "sint64",
};

/** The type on the wire; an enum is an int32. */
export function scalarOf(field: DescField): ScalarType {
  return field.scalar ?? ScalarType.INT32;
}

/** The shared functions of a scalar type. */
export function scalar(print: CodecPrint, type: ScalarType, isStrict = true): Printable {
  const isRaw = type === ScalarType.STRING && !isStrict;
  return print.f.import(isRaw ? "rawString" : scalarNames[type], print.runtime);
}

export function scalarOfField(print: CodecPrint, field: DescField): Printable {
  return scalar(print, scalarOf(field), field.utf8Validation);
}

export function wireTypeOf(type: ScalarType): number {
  switch (type) {
    case ScalarType.BYTES:
    case ScalarType.STRING:
      return WireType.length;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.bit32;
    default:
      return WireType.varint;
  }
}

/** Whether `read` gives a bigint, and the message has digits. */
export function isLongAsString(field: DescField): boolean {
  const mayBe = field.fieldKind === "scalar" || field.fieldKind === "list";
  return mayBe && field.scalar !== undefined && field.longAsString;
}

export function is64(type: ScalarType): boolean {
  switch (type) {
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return true;
    default:
      return false;
  }
}

/** The value that a type has when nothing is said. */
export function zeroOf(print: CodecPrint, type: ScalarType, longAsString: boolean): Printable {
  switch (type) {
    case ScalarType.STRING:
      return '""';
    case ScalarType.BOOL:
      return "false";
    case ScalarType.BYTES:
      return [scalar(print, type), ".empty"];
    default:
      if (!is64(type)) return "0";
      // Not 0n: compilers refuse it when the target is older than ES2020.
      return longAsString ? '"0"' : print.f.import("zero64", print.runtime);
  }
}

export function zeroOfField(print: CodecPrint, field: DescField): Printable {
  if (field.enum !== undefined) return String(field.enum.values[0]?.number ?? 0);
  return zeroOf(print, scalarOf(field), isLongAsString(field));
}

/** Whether protobuf-es keeps the defaults of a message's fields on a prototype. */
export function hasPrototype(message: DescMessage): boolean {
  switch (message.file.edition) {
    case Edition.EDITION_PROTO3:
      return false;
    case Edition.EDITION_PROTO2:
      return true;
    default:
      return message.fields.some(
        (field) =>
          field.presence !== Presence.IMPLICIT &&
          field.fieldKind !== "message" &&
          field.oneof === undefined,
      );
  }
}

/** When a field that is neither a list, nor a map, nor in a oneof is written. */
export function isSet(print: CodecPrint, field: DescField): Printable {
  const value = propertyOf("m", field.localName);
  if (field.presence !== Presence.IMPLICIT) {
    const isOnPrototype =
      field.fieldKind !== "message" && hasPrototype(field.parent as DescMessage);
    if (!isOnPrototype) return `${value} !== undefined`;
    return [print.f.import("has", print.runtime), "(m, ", JSON.stringify(field.localName), ")"];
  }
  const type = scalarOf(field);
  // 0n is false; digits have to be looked at.
  if (is64(type) && !isLongAsString(field)) return value;
  if (is64(type)) return ["!", print.f.import("isZero", print.runtime), "(", value, ")"];
  switch (type) {
    case ScalarType.STRING:
      return `${value} !== ""`;
    case ScalarType.BYTES:
      return `${value}.length !== 0`;
    case ScalarType.BOOL:
      return value;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      // -0 is written.
      return `!Object.is(${value}, 0)`;
    default:
      return `${value} !== ${field.enum?.values[0]?.number ?? 0}`;
  }
}

/** A wrapper as a field of its own is its value. */
export function isUnwrapped(field: DescField): boolean {
  return field.fieldKind === "message" && field.oneof === undefined && isWrapperDesc(field.message);
}

/** Whether users give the field as a message, and not as a plain value. */
export function isGivenAsMessage(field: DescField): boolean {
  return field.message !== undefined && !isUnwrapped(field) && !isStructField(field);
}

/** The message of a value in a field. */
export function toMessage(print: CodecPrint, field: DescField, value: Printable): Printable {
  if (isStructField(field))
    return [print.f.import("structFromJson", print.runtime), "(", value, ")"];
  if (!isUnwrapped(field)) return value;
  const { typeName } = field.message as DescMessage;
  return ["{ $typeName: ", JSON.stringify(typeName), ", value: ", value, " }"];
}

/**
 * The value that is read for a field of messages. It is merged into what is there already:
 * `existing`, if `condition` holds or is left out.
 */
export function readMessage(
  print: CodecPrint,
  field: DescField,
  existing?: string,
  condition?: string,
): Printable {
  const { read } = print.functions.get(field.message as DescMessage)!;
  const into = existing === undefined ? [] : [", ", mergeInto(print, field, existing, condition)];
  const enter = isGroup(field) ? "enterGroup" : "enter";
  const group = isGroup(field)
    ? [existing === undefined ? ", undefined" : "", `, ${field.number}`]
    : [];
  const call = [read, "(r, r.", enter, "()", into, group, ")"];
  if (isStructField(field)) return [print.f.import("structToJson", print.runtime), "(", call, ")"];
  return isUnwrapped(field) ? [call, ".value"] : call;
}

function mergeInto(
  print: CodecPrint,
  field: DescField,
  existing: string,
  condition: string | undefined,
): Printable {
  const message = toMessage(print, field, existing);
  const isPlain = message === existing;
  if (condition === undefined && isPlain) return existing;
  return [condition ?? `${existing} !== undefined`, " ? ", message, " : undefined"];
}

/** `number` as the type of an enum. */
export function asEnum(print: CodecPrint, desc: DescEnum, number: Printable): Printable {
  return [number, " as ", print.f.importShape(desc)];
}

/** How many bytes a tag takes. */
export function tagBytes(no: number): number {
  return varintBytes(no * 8).length;
}

function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return [...bytes, rest];
}

/** Writes a tag, and is a whole statement. */
export function writeTag(no: number, wireType: number): string {
  return varintBytes(no * 8 + wireType)
    .map((byte) => `b[p++] = ${byte};`)
    .join(" ");
}
