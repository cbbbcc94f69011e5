import { expect, expectTypeOf, test } from "bun:test";

import { create } from "@bufbuild/protobuf";

import {
  Colour,
  type Lists,
  type Maps,
  type Optional,
  type Singular,
  SingularSchema,
} from "./gen/scalars_pb.ts";
import { Scalars, type ScalarsHandler } from "./gen/scalars_plug.ts";
import { connect } from "./support/connect.ts";

const singular = {
  aDouble: 1.1,
  aFloat: 0.5,
  anInt32: -2147483648,
  anInt64: -9223372036854775808n,
  aUint32: 4294967295,
  aUint64: 18446744073709551615n,
  aSint32: -7,
  aSint64: -8n,
  aFixed32: 9,
  aFixed64: 10n,
  aSfixed32: -11,
  aSfixed64: -12n,
  aBool: true,
  aString: "täxt ☃",
  someBytes: new Uint8Array([0, 255, 1]),
  aColour: Colour.GREEN,
  aJsString: "-9223372036854775808",
  aJsNumber: 18n,
};

const echo: ScalarsHandler = {
  echoSingular: (...[aDouble, aFloat, anInt32, anInt64, aUint32, aUint64, ...more]) => {
    const [aSint32, aSint64, aFixed32, aFixed64, aSfixed32, aSfixed64, ...most] = more;
    const [aBool, aString, someBytes, aColour, aJsString, aJsNumber] = most;
    return {
      ...{ aDouble, aFloat, anInt32, anInt64, aUint32, aUint64 },
      ...{ aSint32, aSint64, aFixed32, aFixed64, aSfixed32, aSfixed64 },
      ...{ aBool, aString, someBytes, aColour, aJsString, aJsNumber },
    };
  },
  echoOptional: (number, text, data, colour, long, message, last) => {
    return { number, text, data, colour, long, message, last };
  },
  echoLists: (numbers, texts, datas, colours, longs, longStrings, messages) => {
    return { numbers, texts, datas, colours, longs, longStrings, messages };
  },
  echoMaps: (byString, byInt32, byInt64, byBool, messages, longs, last) => {
    return { byString, byInt32, byInt64, byBool, messages, longs, last };
  },
  echoOne: (only) => only,
  echoOneOptional: (only) => only,
  echoOneMessage: (only) => only,
  echoOneList: (only) => only,
  echoOneMap: (only) => only,
  echoOneEnum: (only) => only,
  echoNothing: () => {},
};

const scalars = connect(Scalars, echo);

test("every scalar is an argument of protobuf-es' type, in declared order", async () => {
  const answer = await scalars.echoSingular(
    1.1,
    0.5,
    -2147483648,
    -9223372036854775808n,
    4294967295,
    18446744073709551615n,
    -7,
    -8n,
    9,
    10n,
    -11,
    -12n,
    true,
    "täxt ☃",
    new Uint8Array([0, 255, 1]),
    Colour.GREEN,
    "-9223372036854775808",
    18n,
  );

  expectTypeOf(answer).toEqualTypeOf<Singular>();
  expect(answer).toEqual(create(SingularSchema, singular));
});

test("an optional field may be undefined and keeps its place", async () => {
  const message = create(SingularSchema, singular);
  const full = await scalars.echoOptional(
    0,
    "",
    new Uint8Array(),
    Colour.UNSPECIFIED,
    "0",
    message,
    "last",
  );
  const empty = await scalars.echoOptional(
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    "last",
  );

  expectTypeOf(full).toEqualTypeOf<Optional>();
  expect(full).toMatchObject({ number: 0, text: "", colour: 0, long: "0", message, last: "last" });
  expect(full.data).toEqual(new Uint8Array());
  expect(Object.keys(empty)).toEqual(["$typeName", "last"]);
});

test("lists and maps take init shapes of messages and give messages", async () => {
  const lists = await scalars.echoLists(
    [1, -1],
    ["a", ""],
    [new Uint8Array([1])],
    [Colour.RED, 77 as Colour],
    [18446744073709551615n],
    ["-1"],
    [{ anInt32: 1 }, create(SingularSchema)],
  );
  const maps = await scalars.echoMaps(
    { a: 1, "": 2 },
    { [-1]: "minus" },
    { "-5": new Uint8Array([5]) },
    { true: Colour.RED },
    { 4294967295: { aString: "x" } },
    { "-7": 7n },
    { key: { aBool: true } },
  );

  expectTypeOf(lists).toEqualTypeOf<Lists>();
  expectTypeOf(maps).toEqualTypeOf<Maps>();
  expect(lists.colours).toEqual([Colour.RED, 77 as Colour]);
  expect(lists).toMatchObject({ numbers: [1, -1], texts: ["a", ""], longStrings: ["-1"] });
  expect(lists.longs).toEqual([18446744073709551615n]);
  expect(lists.messages).toEqual([create(SingularSchema, { anInt32: 1 }), create(SingularSchema)]);
  expect(maps).toMatchObject({
    byString: { a: 1, "": 2 },
    byInt32: { [-1]: "minus" },
    byBool: { true: Colour.RED },
    longs: { "-7": 7n },
  });
  expect(maps.byInt64["-5"]).toEqual(new Uint8Array([5]));
  expect(maps.messages[4294967295]).toEqual(create(SingularSchema, { aString: "x" }));
  expect(maps.last["key"]?.$typeName).toBe("golden.scalars.Singular");
});

test("a response of one member is that member", async () => {
  expect(await scalars.echoOne("one")).toBe("one");
  expect(await scalars.echoOneOptional(-5n)).toBe(-5n);
  expect(await scalars.echoOneOptional(undefined)).toBeUndefined();
  expect(await scalars.echoOneMessage({ aString: "m" })).toEqual(
    create(SingularSchema, { aString: "m" }),
  );
  expect(await scalars.echoOneMessage(undefined)).toBeUndefined();
  expect(await scalars.echoOneList([{}])).toEqual([create(SingularSchema)]);
  expect(await scalars.echoOneMap({ k: {} })).toEqual({ k: create(SingularSchema) });
  expect(await scalars.echoOneEnum(Colour.RED)).toBe(Colour.RED);

  expectTypeOf(scalars.echoOneOptional).returns.resolves.toEqualTypeOf<bigint | undefined>();
  expectTypeOf(scalars.echoOneMessage).returns.resolves.toEqualTypeOf<Singular | undefined>();
});

test("no members are no arguments and no result", async () => {
  expect(await scalars.echoNothing()).toBeUndefined();
  expectTypeOf(scalars.echoNothing).returns.resolves.toEqualTypeOf<void>();
});

test("call options follow the arguments, a context follows them in the handler", async () => {
  const signal = AbortSignal.timeout(1000);
  const seen: unknown[] = [];
  const client = connect(Scalars, {
    ...echo,
    echoOne(only, context) {
      seen.push(only, context);
      return only;
    },
    echoNothing(context) {
      seen.push(context);
    },
  });

  await client.echoOne("one", { signal, timeoutMs: 500 });
  await client.echoNothing({ timeoutMs: 5 });

  const service = "golden.scalars.Scalars";
  expect(seen).toEqual([
    "one",
    { signal, timeoutMs: 500, service, method: "EchoOne" },
    { signal: expect.any(AbortSignal), timeoutMs: 5, service, method: "EchoNothing" },
  ]);
});

test("a handler may return a value or a promise, and may be an instance of a class", async () => {
  class Handler {
    #prefix = "> ";
    echoOne(only: string): string {
      return this.#prefix + only;
    }
    async echoOneEnum(only: Colour): Promise<Colour> {
      return only;
    }
  }
  const client = connect(Scalars, Object.assign(new Handler(), omitted()));

  expect(await client.echoOne("one")).toBe("> one");
  expect(await client.echoOneEnum(Colour.GREEN)).toBe(Colour.GREEN);
});

function omitted(): Omit<ScalarsHandler, "echoOne" | "echoOneEnum"> {
  const { echoOne: _, echoOneEnum: __, ...rest } = echo;
  return rest;
}
