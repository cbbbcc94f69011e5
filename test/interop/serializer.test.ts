// example/serializer/plugin.ts answers with the same bytes as a plugin in Go.

import { expect, test } from "bun:test";
import { join } from "node:path";

import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Any,
  anyPack,
  BoolValueSchema,
  BytesValueSchema,
  DoubleValueSchema,
  DurationSchema,
  EmptySchema,
  FloatValueSchema,
  Int32ValueSchema,
  Int64ValueSchema,
  StringValueSchema,
  StructSchema,
  TimestampSchema,
  UInt32ValueSchema,
  UInt64ValueSchema,
} from "@bufbuild/protobuf/wkt";

import { loadSerializer } from "../../example/gen/example_plug.ts";
import { describeGo, goBinary } from "../support/go-peer.ts";
import { text } from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";

type Data = Readonly<Record<string, Any>>;

const plugin = join(import.meta.dir, "../../example/serializer/plugin.ts");

function any<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Any {
  return anyPack(schema, create(schema, init));
}

function values(schema: DescMessage, values: readonly unknown[]): Data {
  return Object.fromEntries(values.map((value, i) => [`${i}`, any(schema, { value } as never)]));
}

function named(names: readonly string[]): Data {
  const one = any(UInt32ValueSchema, { value: 1 });
  return Object.fromEntries(names.map((name) => [name, one]));
}

const bytes = [[], [0], [1, 2], [255, 254, 253]].map((list) => Uint8Array.from(list));
const texts = ["", "ünïcode 💥", '<a href="x">&amp;</a>\u2028\u2029', "\0\b\f\n\r\t\x1f\x7f\\/"];

const table: Readonly<Record<string, Data>> = {
  nothing: {},
  "names in the order of their bytes": named(["😀", "b", "10", "9", "", "\uffff", "B"]),
  "names that JSON and HTML escape": named(['"<>&\u2028\n\\\u0001\x7f']),
  "names that objects have": named(["constructor", "__proto__", "toJSON"]),
  BoolValue: values(BoolValueSchema, [true, false]),
  Int32Value: values(Int32ValueSchema, [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]),
  UInt32Value: values(UInt32ValueSchema, [0, 2 ** 32 - 1]),
  Int64Value: values(Int64ValueSchema, [0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]),
  UInt64Value: values(UInt64ValueSchema, [0n, 2n ** 64n - 1n]),
  DoubleValue: values(DoubleValueSchema, [
    0,
    0.1,
    -1.5,
    1e20,
    1e21,
    1e-6,
    1e-7,
    5e-324,
    Number.MAX_VALUE,
  ]),
  FloatValue: values(
    FloatValueSchema,
    [0, 0.1, -1.5, 16_777_216, 1e20, 1e21, 1e-6, 1e-7, 1e-45, 3.4028235e38],
  ),
  StringValue: values(StringValueSchema, texts),
  BytesValue: values(BytesValueSchema, bytes),
};

describeGo("example/serializer/plugin.ts answers as a plugin in Go does:", () => {
  for (const [title, data] of Object.entries(table)) {
    test(title, async () => {
      await using go = await loadSerializer(await goBinary("serializerplugin"));
      await using ours = await loadSerializer(plugin);
      const [expected, answer] = await Promise.all([go.marshal(data), ours.marshal(data)]);
      expect(text(answer)).toBe(text(expected));
    });
  }
});

// The plugin in Go links the wrappers alone; these are the names that its structs would have.
test("example/serializer/plugin.ts writes the other types by their fields", async () => {
  await using serializer = await loadSerializer(plugin);
  const answer = await serializer.marshal({
    at: any(TimestampSchema, { seconds: 1_700_000_000n, nanos: 5 }),
    empty: any(EmptySchema, {}),
    span: any(DurationSchema, { seconds: -1n }),
  });
  expect(text(answer)).toBe(
    '{"at":{"seconds":1700000000,"nanos":5},"empty":{},"span":{"seconds":-1}}',
  );
});

test("example/serializer/plugin.ts refuses what it does not know and what JSON has no word for", async () => {
  await using serializer = await loadSerializer(plugin);
  const unknown = await rejection(serializer.marshal({ name: any(StructSchema, {}) }));
  expect(unknown).toMatchObject({ code: "invalid_argument", origin: "peer" });
  expect(unknown.rawMessage).toContain("type.googleapis.com/google.protobuf.Struct");
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const error = await rejection(serializer.marshal({ n: any(DoubleValueSchema, { value }) }));
    expect(error.rawMessage).toBe(`JSON has no ${value}`);
  }
});
