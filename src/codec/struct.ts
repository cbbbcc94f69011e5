// `google.protobuf.Struct` as protobuf-es has it in a field: a plain JSON object.
//
// Read and written as the message that it is on the wire, which these functions make and take apart.

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { ListValue, Struct, Value } from "@bufbuild/protobuf/wkt";

/** The message of a JSON object. */
export function structFromJson(json: JsonObject): Struct {
  const struct: Struct = { $typeName: "google.protobuf.Struct", fields: {} };
  for (const key of Object.keys(json)) {
    setEntry(struct.fields, key, valueFromJson(json[key] as JsonValue));
  }
  return struct;
}

/** The JSON object of a message. */
export function structToJson(struct: Struct): JsonObject {
  const json: JsonObject = {};
  for (const key of Object.keys(struct.fields)) {
    setEntry(json, key, valueToJson(struct.fields[key] as Value));
  }
  return json;
}

function valueFromJson(json: JsonValue): Value {
  return { $typeName: "google.protobuf.Value", kind: kindFromJson(json) };
}

function kindFromJson(json: JsonValue): Value["kind"] {
  switch (typeof json) {
    case "number":
      return { case: "numberValue", value: json };
    case "string":
      return { case: "stringValue", value: json };
    case "boolean":
      return { case: "boolValue", value: json };
    case "object":
      if (json === null) return { case: "nullValue", value: 0 };
      return Array.isArray(json)
        ? { case: "listValue", value: listFromJson(json) }
        : { case: "structValue", value: structFromJson(json) };
    default:
      // No JSON, and in protobuf-es a value of no kind.
      return { case: undefined };
  }
}

function listFromJson(json: readonly JsonValue[]): ListValue {
  return { $typeName: "google.protobuf.ListValue", values: json.map(valueFromJson) };
}

function valueToJson({ kind }: Value): JsonValue {
  switch (kind.case) {
    case "structValue":
      return structToJson(kind.value);
    case "listValue":
      return kind.value.values.map(valueToJson);
    case "nullValue":
    case undefined:
      return null;
    default:
      return kind.value;
  }
}

/** Sets an entry of a map, whatever its key: `__proto__` is no name of a prototype here. */
export function setEntry<V>(map: Record<string, V>, key: string | number, value: V): void {
  if (key === "__proto__") {
    Object.defineProperty(map, key, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  } else {
    map[key] = value;
  }
}
