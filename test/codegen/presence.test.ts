import { expect, expectTypeOf, test } from "bun:test";

import { create, isFieldSet } from "@bufbuild/protobuf";

import {
  Closed,
  EverythingSchema as Everything2023Schema,
  Open,
  SubSchema as Sub2023Schema,
} from "./gen/edition2023_pb.ts";
import { Edition2023 } from "./gen/edition2023_plug.ts";
import { Edition2024 } from "./gen/edition2024_plug.ts";
import { EverythingSchema, Level, SubSchema } from "./gen/proto2_pb.ts";
import { Proto2, type Proto2Handler } from "./gen/proto2_plug.ts";
import { connect } from "./support/connect.ts";

const proto2: Proto2Handler = {
  echoEverything: (...[reqText, reqLevel, reqSub, optText, optNumber, optLevel, ...more]) => {
    const [optSub, optData, packed, unpacked, single, many, choice, subs, last] = more;
    return {
      ...{ reqText, reqLevel, reqSub, optText, optNumber, optLevel, optSub, optData },
      ...{ packed, unpacked, single, many, choice, subs, last },
    };
  },
  echoPage: (number) => number,
  echoExtensible: (text) => text,
};

test("proto2: required, optional, groups, defaults and closed enums", async () => {
  const client = connect(Proto2, proto2);

  const answer = await client.echoEverything(
    "",
    Level.LOW,
    { name: "sub" },
    "text",
    8,
    Level.LOW,
    {},
    new Uint8Array([2]),
    [1, 2],
    [3],
    { a: 1 },
    [{ b: 2 }, {}],
    { case: "chosenGroup", value: { c: 3 } },
    { k: { name: "v" } },
    "last",
  );

  expect(answer).toEqual(
    create(EverythingSchema, {
      reqText: "",
      reqLevel: Level.LOW,
      reqSub: { name: "sub" },
      optText: "text",
      optNumber: 8,
      optLevel: Level.LOW,
      optSub: {},
      optData: new Uint8Array([2]),
      packed: [1, 2],
      unpacked: [3],
      single: { a: 1 },
      many: [{ b: 2 }, {}],
      choice: { case: "chosenGroup", value: { c: 3 } },
      subs: { k: { name: "v" } },
      last: "last",
    }),
  );
});

test("proto2: a caller leaves a field out with undefined, and its default is received", async () => {
  const seen: unknown[] = [];
  const client = connect(Proto2, {
    ...proto2,
    echoPage(number, { method }) {
      seen.push(number, method);
      return undefined;
    },
  });

  expect(await client.echoPage(undefined)).toBe(1);
  expect(await client.echoPage(5)).toBe(1);
  expect(seen).toEqual([1, "EchoPage", 5, "EchoPage"]);

  type Asked = Parameters<typeof client.echoPage>[0];
  type Received = Parameters<Proto2Handler["echoPage"]>[0];
  expectTypeOf<Asked>().toEqualTypeOf<number | undefined>();
  expectTypeOf(client.echoPage).returns.resolves.toEqualTypeOf<number>();
  expectTypeOf<Received>().toEqualTypeOf<number>();
});

test("proto2: a field that was left out stays unset", async () => {
  const client = connect(Proto2, {
    ...proto2,
    echoEverything: (reqText, reqLevel, reqSub) => ({ reqText, reqLevel, reqSub, last: "" }),
  });

  const answer = await client.echoEverything(
    "r",
    Level.HIGH,
    create(SubSchema),
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    [],
    [],
    undefined,
    [],
    { case: undefined },
    {},
    "",
  );

  expect(isFieldSet(answer, EverythingSchema.field.optNumber)).toBe(false);
  expect(answer.optNumber).toBe(7);
  expect(answer.optLevel).toBe(Level.HIGH);
});

test("extensions are no arguments", async () => {
  const client = connect(Proto2, proto2);

  expect(await client.echoExtensible("text")).toBe("text");
});

test("edition 2023: presence, delimited messages and closed enums by features", async () => {
  const client = connect(Edition2023, {
    echoEverything: (...[explicit, implicit, required, withDefault, open, closed, ...more]) => {
      const [delimited, delimitedList, expanded, choice, last] = more;
      return {
        ...{ explicit, implicit, required, withDefault, open, closed },
        ...{ delimited, delimitedList, expanded, choice, last },
      };
    },
    echoOne: (only) => only,
  });

  const answer = await client.echoEverything(
    undefined,
    "",
    "required",
    undefined,
    Open.ONE,
    Closed.TWO,
    { name: "d" },
    [{ name: "e" }],
    [1, 2],
    { case: "chosen", value: { name: "f" } },
    undefined,
  );

  // What the handler received and gave back is set, so the defaults are there as values.
  expect(answer).toEqual(
    create(Everything2023Schema, {
      explicit: "",
      required: "required",
      withDefault: 42,
      open: Open.ONE,
      closed: Closed.TWO,
      delimited: { name: "d" },
      delimitedList: [{ name: "e" }],
      expanded: [1, 2],
      choice: { case: "chosen", value: { name: "f" } },
    }),
  );
  expect(answer.delimited).toEqual(create(Sub2023Schema, { name: "d" }));
  expect(await client.echoOne(5n)).toBe(5n);
  expect(await client.echoOne(undefined)).toBe(0n);
});

test("edition 2024: symbol visibility, and options without their code", async () => {
  const client = connect(Edition2024, { ask: (hidden, text) => `${hidden?.name}: ${text}` });

  expect(await client.ask({ name: "h" }, "t")).toBe("h: t");
  expect(Edition2024).toMatchObject({ magic: "2024", version: 24 });
});
