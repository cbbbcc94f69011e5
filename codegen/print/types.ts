// The TypeScript type of a field, a oneof or a message.
//
// Received is what protobuf-es prints in its `_pb.ts` files, see `fieldTypeScriptType` there. Given
// is the same with init shapes in place of messages, as `create()` of protobuf-es takes them.

import { type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { scalarTypeScriptType } from "@bufbuild/protobuf/codegenv2";
import { FeatureSet_FieldPresence as Presence, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";

/** What users give (arguments of a call, results of a handler), or what they receive. */
export type Side = "given" | "received";

export function messageType(f: GeneratedFile, message: DescMessage, side: Side): Printable {
  if (side === "received") return f.importShape(message);
  const MessageInitShape = f.import("MessageInitShape", "@bufbuild/protobuf", true);
  return [MessageInitShape, "<typeof ", f.importSchema(message, true), ">"];
}

export function memberType(f: GeneratedFile, member: DescField | DescOneof, side: Side): Printable {
  if (member.kind === "oneof") return oneofType(f, member, side);
  const type = fieldType(f, member, side);
  const optional = side === "given" ? mayBeLeftOut(member) : mayBeUndefined(member);
  return optional ? [type, " | undefined"] : type;
}

/**
 * Whether protobuf-es has the field as `T | undefined`. It has a proto2 or editions scalar as `T`,
 * though it may be unset: then the default is read.
 */
function mayBeUndefined(field: DescField): boolean {
  return field.fieldKind === "message" || field.proto.proto3Optional;
}

/** Whether one may give `undefined` to leave the field unset. */
function mayBeLeftOut(field: DescField): boolean {
  return isSingular(field) && field.presence === Presence.EXPLICIT;
}

/**
 * Whether the field may be left out, but its type in the message's init shape lacks `undefined`, so
 * that `exactOptionalPropertyTypes` would complain about it.
 */
export function needsAssertion(member: DescField | DescOneof): boolean {
  return member.kind === "field" && mayBeLeftOut(member) && !mayBeUndefined(member);
}

function isSingular(field: DescField): boolean {
  return field.fieldKind !== "list" && field.fieldKind !== "map";
}

function oneofType(f: GeneratedFile, oneof: DescOneof, side: Side): Printable {
  return [
    ...oneof.fields.map((field): Printable => {
      const key = f.string(field.localName);
      return ["{ case: ", key, "; value: ", fieldType(f, field, side), " } | "];
    }),
    "{ case: undefined; value?: undefined }",
  ];
}

function fieldType(f: GeneratedFile, field: DescField, side: Side): Printable {
  switch (field.fieldKind) {
    case "scalar":
      return scalarTypeScriptType(field.scalar, field.longAsString);
    case "enum":
      return f.importShape(field.enum);
    case "message":
      return messageFieldType(f, field, field.message, side);
    case "list":
      return [elementType(f, field, side), "[]"];
    case "map":
      return ["{ [key: ", mapKeyType(field.mapKey), "]: ", elementType(f, field, side), " }"];
  }
}

function elementType(
  f: GeneratedFile,
  field: DescField & { fieldKind: "list" | "map" },
  side: Side,
): Printable {
  if (field.message !== undefined) return messageFieldType(f, field, field.message, side);
  if (field.enum !== undefined) return f.importShape(field.enum);
  // jstype has no effect on the values of a map.
  const longAsString = field.fieldKind === "list" && field.longAsString;
  return scalarTypeScriptType(field.scalar, longAsString);
}

// A wrapper is a plain value only as a field of its own, a Struct wherever it is a field.
function messageFieldType(
  f: GeneratedFile,
  field: DescField,
  message: DescMessage,
  side: Side,
): Printable {
  if (isWrapperDesc(message) && field.fieldKind === "message" && field.oneof === undefined) {
    return scalarTypeScriptType(message.fields[0].scalar, false);
  }
  if (isStructField(field)) return f.runtime.JsonObject;
  return messageType(f, message, side);
}

/** Whether values of the field are plain JSON objects. */
export function isStructField(field: DescField): boolean {
  return (
    field.message?.typeName === "google.protobuf.Struct" &&
    field.parent?.typeName !== "google.protobuf.Value"
  );
}

/** A map's keys are property names; only short integers are numbers in types. */
export function mapKeyType(key: ScalarType): "number" | "string" {
  switch (key) {
    case ScalarType.INT32:
    case ScalarType.FIXED32:
    case ScalarType.UINT32:
    case ScalarType.SFIXED32:
    case ScalarType.SINT32:
      return "number";
    default:
      return "string";
  }
}
