// Writes values of any type as JSON, byte for byte like the Go original's example.
//
// That one hands Go's structs to encoding/json. So a number is { "value": 42 }, a field that is
// zero is left out, and 64-bit integers are numbers and not strings, as they are in ProtoJSON.

import { createRegistry, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  anyUnpack,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { PlugError } from "bun-plug/plugin";
import { runSerializer } from "../gen/example_plug.ts";

/** The types that a value may have. All their fields are scalars. */
const types = createRegistry(
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
);

await runSerializer({
  marshal(data) {
    const members = Object.keys(data)
      .sort(byBytes)
      .map((name) => {
        const any = data[name];
        const message = any && anyUnpack(any, types);
        if (message) return `${JSON.stringify(name)}:${struct(message)}`;
        throw new PlugError("invalid_argument", `"${name}" has the unknown type ${any?.typeUrl}`);
      });
    const json = `{${members.join()}}`.replace(/[<>&\u2028\u2029]/g, escape);
    return new TextEncoder().encode(json);
  },
});

function struct(message: Message): string {
  const fields = reflect(types.getMessage(message.$typeName)!, message);
  const members = fields.fields
    .filter((field) => fields.isSet(field))
    .map((field) => `${JSON.stringify(field.name)}:${scalar(fields.get(field), field.scalar)}`);
  return `{${members.join()}}`;
}

function scalar(value: unknown, type: ScalarType | undefined): string {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return `"${value.toBase64()}"`;
  if (typeof value !== "number") return JSON.stringify(value);
  if (!Number.isFinite(value)) throw new PlugError("invalid_argument", `JSON has no ${value}`);
  return String(type === ScalarType.FLOAT ? shortest(value) : value);
}

/** 0.1, where the nearest float is 0.10000000149011612. */
function shortest(float: number): number {
  let digits = 1;
  while (Math.fround(Number(float.toPrecision(digits))) !== float) digits += 1;
  return Number(float.toPrecision(digits));
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
