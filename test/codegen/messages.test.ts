import { expect, expectTypeOf, test } from "bun:test";

import { create } from "@bufbuild/protobuf";

import { type Choice, Outer_Inner_Kind, Outer_InnerSchema } from "./gen/messages_pb.ts";
import { Messages, type MessagesHandler } from "./gen/messages_plug.ts";
import { type Point, PointSchema, Unit } from "./gen/nested/deep/types_pb.ts";
import { Nested } from "./gen/nested/service_plug.ts";
import { connect } from "./support/connect.ts";

const echo: MessagesHandler = {
  echoOuter: (inner, kind, point, unit) => ({ inner, kind, point, unit }),
  echoChoice: (before, what, after) => ({ before, what, after }),
  echoOnlyChoice: (result) => result,
  echoTwoChoices: (first, second) => ({ first, second }),
  echoImported: (x, y) => ({ x, y }),
  echoNested: (name, kind, children) => ({ name, kind, children }),
};

const messages = connect(Messages, echo);

test("nested and imported types are arguments, messages as init shapes", async () => {
  const answer = await messages.echoOuter(
    { name: "a", kind: Outer_Inner_Kind.GOOD, children: [{ name: "b" }] },
    Outer_Inner_Kind.GOOD,
    create(PointSchema, { x: 1 }),
    Unit.METRE,
  );

  expect(answer.inner).toEqual(
    create(Outer_InnerSchema, {
      name: "a",
      kind: Outer_Inner_Kind.GOOD,
      children: [{ name: "b" }],
    }),
  );
  expect(answer.point).toEqual(create(PointSchema, { x: 1 }));
  expect(answer).toMatchObject({ kind: Outer_Inner_Kind.GOOD, unit: Unit.METRE });
});

test("handlers receive complete messages whatever init shape was given", async () => {
  let seen: unknown;
  const client = connect(Messages, {
    ...echo,
    echoOuter(inner) {
      seen = inner;
      return {};
    },
  });

  await client.echoOuter({ children: [{}] }, 0, undefined, 0);

  expect(seen).toEqual(create(Outer_InnerSchema, { children: [create(Outer_InnerSchema)] }));
});

test("a oneof is one argument at its first field's place", async () => {
  const given: Parameters<typeof messages.echoChoice>[1][] = [
    { case: "text", value: "" },
    { case: "data", value: new Uint8Array([1]) },
    { case: "long", value: 5n },
    { case: "unit", value: Unit.METRE },
    { case: undefined },
  ];
  for (const what of given) {
    const answer = await messages.echoChoice(1, what, "z");
    expect(answer).toMatchObject({ before: 1, what, after: "z" });
    expectTypeOf(answer).toEqualTypeOf<Choice>();
  }

  const nested = await messages.echoChoice(1, { case: "inner", value: { name: "n" } }, "z");
  expect(nested.what).toEqual({
    case: "inner",
    value: create(Outer_InnerSchema, { name: "n" }),
  });
});

test("a response of one oneof is the oneof", async () => {
  expect(await messages.echoOnlyChoice({ case: "text", value: "t" })).toEqual({
    case: "text",
    value: "t",
  });
  expect(await messages.echoOnlyChoice({ case: "inner", value: {} })).toEqual({
    case: "inner",
    value: create(Outer_InnerSchema),
  });
  expect(await messages.echoOnlyChoice({ case: undefined })).toEqual({ case: undefined });
});

test("several oneofs are several arguments", async () => {
  const answer = await messages.echoTwoChoices(
    { case: "b", value: 2 },
    { case: "c", value: false },
  );

  expect(answer).toMatchObject({
    first: { case: "b", value: 2 },
    second: { case: "c", value: false },
  });
});

test("requests and responses may be imported or nested types", async () => {
  const point = await messages.echoImported(1, 2);

  expectTypeOf(point).toEqualTypeOf<Point>();
  expect(point).toEqual(create(PointSchema, { x: 1, y: 2 }));
  expect(await messages.echoNested("n", 0, [])).toEqual(create(Outer_InnerSchema, { name: "n" }));
});

test("a file in a folder imports from the folders around it", async () => {
  const client = connect(Nested, {
    convert: (x, y) => ({ case: "text", value: `${x} ${y}` }),
  });

  expect(await client.convert(1, 2)).toEqual({ case: "text", value: "1 2" });
});
