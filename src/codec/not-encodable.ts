// Says which field of a message cannot be encoded, after `size` has thrown.
//
// Printed code carries no names for its errors: the field is looked for here, by the schema, and
// only then.

import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";

const required = 3; // FieldPresence.LEGACY_REQUIRED

// Deeper than any message that can be read again, and far from the end of the stack.
const maxDepth = 200;

/** The error for a message that `size` has thrown over. */
export function notEncodable(schema: DescMessage, message: unknown, cause: unknown): PlugError {
  const field = faultIn(schema, message, 0);
  const where = field === undefined ? "" : `field ${field.parent?.typeName}.${field.name}: `;
  return new PlugError(
    "invalid_argument",
    `cannot encode ${schema.typeName}: ${where}${textOf(cause)}`,
    { cause },
  );
}

/** Thrown by printed code. */
export function requiredIsUnset(): never {
  throw new TypeError("required field not set");
}

/** The first field that cannot be encoded. */
function faultIn(desc: DescMessage, message: unknown, depth: number): DescField | undefined {
  if (depth > maxDepth || typeof message !== "object" || message === null) return undefined;
  for (const field of [...desc.fields].sort((a, b) => a.number - b.number)) {
    const value = valueOf(message as Record<string, unknown>, field);
    const fault = value === undefined ? isMissing(field) && field : faultOf(field, value, depth);
    if (fault) return fault;
  }
  return undefined;
}

// Own properties only: what is on the prototype is the default of an unset field.
function valueOf(message: Record<string, unknown>, field: DescField): unknown {
  if (field.oneof === undefined) return own(message, field.localName);
  const oneof = message[field.oneof.localName] as { case?: unknown; value?: unknown } | undefined;
  return oneof?.case === field.localName ? (oneof.value ?? null) : undefined;
}

function own(message: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(message, name) ? message[name] : undefined;
}

function isMissing(field: DescField): boolean {
  // Fields with implicit presence are always there.
  const implicit = 2;
  return field.oneof === undefined && (field.presence === required || field.presence === implicit);
}

function faultOf(field: DescField, value: unknown, depth: number): DescField | undefined {
  switch (field.fieldKind) {
    case "list":
      if (!Array.isArray(value)) return field;
      return first(value, (item) => faultOfOne(field, item, depth));
    case "map":
      if (typeof value !== "object" || value === null) return field;
      if (!Object.keys(value).every((key) => isMapKey(field.mapKey, key))) return field;
      return first(Object.values(value), (item) => faultOfOne(field, item, depth));
    default:
      return faultOfOne(field, value, depth);
  }
}

function first<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function faultOfOne(field: DescField, value: unknown, depth: number): DescField | undefined {
  if (field.message !== undefined) {
    // A wrapper's value and a Struct's JSON are no messages.
    const isMessage = typeof value === "object" && value !== null && "$typeName" in value;
    if (isMessage) return faultIn(field.message, value, depth + 1);
    const inner = field.message.fields[0];
    const isWrapped = inner?.scalar !== undefined && !field.message.typeName.endsWith("Struct");
    return isWrapped && !canHold(inner.scalar, value) ? field : undefined;
  }
  return canHold(field.scalar ?? ScalarType.INT32, value) ? undefined : field;
}

function isMapKey(type: ScalarType, key: string): boolean {
  return type === ScalarType.BOOL ? key === "true" || key === "false" : canHold(type, key);
}

function canHold(type: ScalarType, value: unknown): boolean {
  switch (type) {
    case ScalarType.STRING:
      return typeof value === "string";
    case ScalarType.BYTES:
      return value instanceof Uint8Array;
    case ScalarType.BOOL:
      return true;
    case ScalarType.DOUBLE:
      return typeof value !== "bigint" && typeof value !== "symbol";
    case ScalarType.FLOAT:
      return isNumeric(value) && (Number.isFinite(Math.fround(+value)) || !isFinite(+value));
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return isNumeric(value) && isWhole(value, -(2n ** 31n), 2n ** 31n);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return isNumeric(value) && isWhole(value, 0n, 2n ** 32n);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return isWhole(value, 0n, 2n ** 64n);
    default:
      return isWhole(value, -(2n ** 63n), 2n ** 63n);
  }
}

function isNumeric(value: unknown): value is number | string {
  return typeof value === "number" || typeof value === "string";
}

function isWhole(value: unknown, from: bigint, to: bigint): boolean {
  try {
    const integer = typeof value === "bigint" ? value : BigInt(value as number | string);
    return integer >= from && integer < to;
  } catch {
    return false;
  }
}
