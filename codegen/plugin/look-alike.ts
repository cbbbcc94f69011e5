// Arguments that old calls could fill with their options.
//
// A call `kv.find(text, { timeoutMs: 500 })` goes on compiling when the request gets a last field
// whose type takes that object, and then sends it as the field. What TypeScript takes was tried
// with the compiler, see ../README.md, "When options could be mistaken".

import { type DescField, type DescMethod, type DescService, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";

import { streamsRequests } from "../print/method-table.ts";
import { isStructField, mapKeyType } from "../print/types.ts";
import { named } from "./problem.ts";

/** One line for each rpc whose last argument could be taken for options. */
export function lookAlikes(service: DescService): string[] {
  const withArguments = service.methods.filter((method) => !streamsRequests(method));
  return withArguments.flatMap((method) => {
    const last = method.input.members.at(-1);
    const what = last?.kind === "field" ? lookAlike(last) : undefined;
    return last === undefined || what === undefined ? [] : [warning(method, last.name, what)];
  });
}

function warning(method: DescMethod, field: string, what: string): string {
  return (
    `${named(method)}: warning: the last argument, ${field}, is ${what}: ` +
    `calls that were written before the field was added still compile and send their options in it. ` +
    `calls=messages avoids this`
  );
}

function lookAlike(field: DescField): string | undefined {
  switch (field.fieldKind) {
    case "map":
      if (mapKeyType(field.mapKey) === "number") return "a map with numbers as keys";
      return isNumber(field.enum, field.scalar) ? "a map of numbers" : undefined;
    case "message":
      if (isStructField(field)) return "a Struct";
      return isWrapperDesc(field.message) ? undefined : lookAlikeMember(field.message.fields);
    default:
      return undefined;
  }
}

// A message is given as an object of its fields. One that has none of the names of the options is
// refused by the compiler, one that has all that were given, with fitting types, is taken.
function lookAlikeMember(fields: readonly DescField[]): string | undefined {
  const found = fields.find(
    (field) =>
      field.oneof === undefined &&
      ((field.localName === "timeoutMs" && isTimeout(field)) ||
        (field.localName === "signal" && isSignal(field))),
  );
  return found && `a message with a field ${found.name}`;
}

function isTimeout(field: DescField): boolean {
  if (field.fieldKind === "message" && isWrapperDesc(field.message)) {
    return isNumber(undefined, field.message.fields[0].scalar);
  }
  return (
    (field.fieldKind === "scalar" || field.fieldKind === "enum") &&
    isNumber(field.enum, field.scalar)
  );
}

// An AbortSignal has `aborted`, a boolean, and `reason`, which may be anything.
function isSignal(field: DescField): boolean {
  return (
    field.fieldKind === "message" &&
    field.message.fields.some(
      (inner) =>
        inner.localName === "reason" ||
        (inner.localName === "aborted" && inner.scalar === ScalarType.BOOL),
    )
  );
}

function isNumber(enumeration: DescField["enum"], scalar: ScalarType | undefined): boolean {
  if (enumeration !== undefined) return true;
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
    case ScalarType.INT32:
    case ScalarType.FIXED32:
    case ScalarType.UINT32:
    case ScalarType.SFIXED32:
    case ScalarType.SINT32:
      return true;
    default:
      return false;
  }
}
