import { expect, expectTypeOf, test } from "bun:test";

import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  type Any,
  anyPack,
  type Api,
  ApiSchema,
  DurationSchema,
  type Empty,
  EmptySchema,
  FieldMaskSchema,
  ListValueSchema,
  NullValue,
  type Struct,
  StructSchema,
  type Timestamp,
  timestampFromMs,
  TimestampSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";

import { WellKnown, type WellKnownHandler } from "./gen/well_known_plug.ts";
import { connect } from "./support/connect.ts";

const echo: WellKnownHandler = {
  echoFields: (...[time, span, any, struct, value, list, nullValue, mask, empty, ...more]) => {
    const [text, long, data, structs, structMap, bools, doubles, choice, last] = more;
    return {
      ...{ time, span, any, struct, value, list, nullValue, mask, empty },
      ...{ text, long, data, structs, structMap, bools, doubles, choice, last },
    };
  },
  echoOnlyWrapper: (only) => only,
  echoTimestamp: (timestamp) => timestamp,
  echoDuration: (duration) => duration,
  echoAny: (any) => any,
  echoStruct: (struct) => struct,
  echoValue: (value) => value,
  echoListValue: (listValue) => listValue,
  echoFieldMask: (fieldMask) => fieldMask,
  echoApi: (api) => api,
  echoEmpty: () => {},
  echoDouble: (value) => value,
  echoFloat: (value) => value,
  echoInt64: (value) => value,
  echoUInt64: (value) => value,
  echoInt32: (value) => value,
  echoUInt32: (value) => value,
  echoBool: (value) => value,
  echoString: (value) => value,
  echoBytes: (value) => value,
  getStruct: () => ({ a: 1, b: [null, { c: "d" }] }),
};

const wellKnown = connect(WellKnown, echo);

test("well-known types are fields in protobuf-es' shapes", async () => {
  const time = timestampFromMs(1_700_000_000_123);
  const any = anyPack(TimestampSchema, time);
  const answer = await wellKnown.echoFields(
    time,
    { seconds: 5n },
    any,
    { plain: ["json", 1, null] },
    { kind: { case: "stringValue", value: "v" } },
    { values: [{ kind: { case: "boolValue", value: true } }] },
    NullValue.NULL_VALUE,
    { paths: ["a.b"] },
    {},
    "",
    -1n,
    new Uint8Array([1]),
    [{ first: 1 }, {}],
    { key: { deep: { deeper: true } } },
    [{ value: true }],
    { 3: { value: 1.5 } },
    { case: "chosenNumber", value: { value: 4294967295 } },
    "last",
  );

  expect(answer.time).toEqual(time);
  expect(answer.span).toEqual(create(DurationSchema, { seconds: 5n }));
  expect(answer.any).toEqual(any);
  expect(answer.struct).toEqual({ plain: ["json", 1, null] });
  expect(answer.value?.kind).toEqual({ case: "stringValue", value: "v" });
  expect(answer.list?.values.map((value) => value.kind.value)).toEqual([true]);
  expect(answer.mask?.paths).toEqual(["a.b"]);
  expect(answer.empty).toEqual(create(EmptySchema));
  expect(answer.text).toBe("");
  expect(answer.long).toBe(-1n);
  expect(answer.data).toEqual(new Uint8Array([1]));
  expect(answer.structs).toEqual([{ first: 1 }, {}]);
  expect(answer.structMap).toEqual({ key: { deep: { deeper: true } } });
  expect(answer.bools.map((bool) => bool.value)).toEqual([true]);
  expect(answer.doubles[3]?.value).toBe(1.5);
  expect(answer.choice).toMatchObject({ case: "chosenNumber", value: { value: 4294967295 } });
  expect(answer.last).toBe("last");
  expectTypeOf(answer.struct).toEqualTypeOf<JsonObject | undefined>();
});

test("a Struct or a message in a oneof is given as JSON or as an init shape", async () => {
  const echoChoice = async (choice: Parameters<WellKnownHandler["echoFields"]>[16]) => {
    const none = [undefined, undefined, undefined, undefined, undefined, undefined] as const;
    const rest = [undefined, undefined, undefined, undefined, undefined, [], {}, [], {}] as const;
    const [a, b, c, d, e, f, g, h, i] = rest;
    const answer = await wellKnown.echoFields(
      ...none,
      NullValue.NULL_VALUE,
      ...([a, b, c, d, e] as const),
      [...f],
      g,
      [...h],
      i,
      choice,
      "",
    );
    return answer.choice;
  };

  expect(await echoChoice({ case: "chosenStruct", value: { a: [1] } })).toEqual({
    case: "chosenStruct",
    value: { a: [1] },
  });
  const time = create(TimestampSchema, { seconds: 1n });
  expect(await echoChoice({ case: "chosenTime", value: time })).toEqual({
    case: "chosenTime",
    value: time,
  });
});

test("a request or response that has a meaning of its own stays whole", async () => {
  const time = create(TimestampSchema, { seconds: 1n, nanos: 2 });
  const any = anyPack(TimestampSchema, time);

  expect(await wellKnown.echoTimestamp({ seconds: 1n, nanos: 2 })).toEqual(time);
  expect(await wellKnown.echoDuration({ nanos: 1 })).toEqual(create(DurationSchema, { nanos: 1 }));
  expect(await wellKnown.echoAny(any)).toEqual(any);
  expect(await wellKnown.echoStruct({ fields: {} })).toEqual(create(StructSchema));
  expect(await wellKnown.echoValue({ kind: { case: "numberValue", value: 1 } })).toEqual(
    create(ValueSchema, { kind: { case: "numberValue", value: 1 } }),
  );
  expect(await wellKnown.echoListValue({})).toEqual(create(ListValueSchema));
  expect(await wellKnown.echoFieldMask({ paths: ["a"] })).toEqual(
    create(FieldMaskSchema, { paths: ["a"] }),
  );
  expect(await wellKnown.echoApi({ name: "n" })).toEqual(create(ApiSchema, { name: "n" }));

  expectTypeOf(wellKnown.echoTimestamp).returns.resolves.toEqualTypeOf<Timestamp>();
  expectTypeOf(wellKnown.echoAny).returns.resolves.toEqualTypeOf<Any>();
  expectTypeOf(wellKnown.echoStruct).returns.resolves.toEqualTypeOf<Struct>();
  expectTypeOf(wellKnown.echoApi).returns.resolves.toEqualTypeOf<Api>();
});

test("Empty is nothing, and a wrapper is its value", async () => {
  expect(await wellKnown.echoEmpty()).toBeUndefined();
  expect(await wellKnown.echoDouble(1.1)).toBe(1.1);
  expect(await wellKnown.echoFloat(0.5)).toBe(0.5);
  expect(await wellKnown.echoInt64(-1n)).toBe(-1n);
  expect(await wellKnown.echoUInt64(18446744073709551615n)).toBe(18446744073709551615n);
  expect(await wellKnown.echoInt32(-1)).toBe(-1);
  expect(await wellKnown.echoUInt32(4294967295)).toBe(4294967295);
  expect(await wellKnown.echoBool(true)).toBe(true);
  expect(await wellKnown.echoString("s")).toBe("s");
  expect(await wellKnown.echoBytes(new Uint8Array([1]))).toEqual(new Uint8Array([1]));
  expectTypeOf<Empty>().not.toEqualTypeOf<void>();
});

test("a single Struct or wrapper field is JSON or a value, or undefined", async () => {
  expect(await wellKnown.getStruct()).toEqual({ a: 1, b: [null, { c: "d" }] });
  expect(await wellKnown.echoOnlyWrapper("")).toBe("");
  expect(await wellKnown.echoOnlyWrapper(undefined)).toBeUndefined();

  expectTypeOf(wellKnown.getStruct).returns.resolves.toEqualTypeOf<JsonObject | undefined>();
  expectTypeOf(wellKnown.echoOnlyWrapper).returns.resolves.toEqualTypeOf<string | undefined>();
});
