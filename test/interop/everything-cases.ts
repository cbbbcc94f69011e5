// One call, at least, of every method of Everything that answers: the arguments and the answer
// that interop.proto asks for. Both languages' plugins are held to it.

import { create } from "@bufbuild/protobuf";
import { anyPack, DurationSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";

import {
  type Item,
  ItemSchema,
  ListSetSchema,
  MapSetSchema,
  ScalarSetSchema,
} from "../go/gen/interop_pb.ts";
import type { Everything } from "../go/gen/interop_plug.ts";
import { makeItem } from "./fixture/items.ts";

type Method = keyof Everything;

export interface Case {
  readonly method: Method;
  readonly call: (everything: Everything) => Promise<unknown>;
  readonly answer: unknown;
}

/** A case: `is("not", true, false)` is "not(false) answers true". */
function is<M extends Method>(
  method: M,
  answer: Awaited<ReturnType<Everything[M]>>,
  ...args: Parameters<Everything[M]>
): Case {
  const call = (everything: Everything): Promise<unknown> =>
    (everything[method] as (...args: unknown[]) => Promise<unknown>).apply(everything, args);
  return { method, call, answer };
}

const int32 = { min: -(2 ** 31), max: 2 ** 31 - 1 };
const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const uint32 = { max: 2 ** 32 - 1 };
const uint64 = { max: 2n ** 64n - 1n };
const seeds = [0, 1, 2, 3, 127, 128, 65_535, 999_998, 1_000_000];
// Around a varint of one, two and three bytes, the page that the Go original reads first, and
// 64 KiB with the frame's header.
const sizes = [0, 1, 121, 122, 123, 127, 128, 4_087, 4_088, 4_089, 4_090, 4_096, 16_384, 65_520];

export function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => i);
}

function sum(data: Uint8Array): number {
  return data.reduce((total, byte) => total + byte, 0);
}

function at(seconds: bigint, nanos: number) {
  return { ...timestampFromMs(0), seconds, nanos };
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const items = [makeItem(0), makeItem(999_999)] as [Item, Item];
const scalars = {
  bytesValue: bytes(0, 255),
  boolValue: true,
  int32Value: int32.min,
  int64Value: int64.min,
  uint32Value: uint32.max,
  uint64Value: uint64.max,
  stringValue: "ü\0🔑",
};
const maps = create(MapSetSchema, {
  byBool: { false: "no", true: "" },
  byInt32: { [int32.min]: bytes(), [int32.max]: bytes(1) },
  byInt64: { [`${int64.min}`]: true, "0": false },
  byUint32: { [uint32.max]: int64.min },
  byUint64: { [`${uint64.max}`]: uint64.max, "0": 0n },
  byString: { "": -1, "🔑": 0, constructor: 7, ["__proto__"]: 1 },
  counts: { many: uint32.max },
  items: { one: makeItem(1), empty: create(ItemSchema) },
});

export const cases: readonly Case[] = [
  is("not", true, false),
  is("not", false, true),
  is("addInt32", -3, -5, 2),
  is("addInt32", int32.min, int32.max, 1),
  is("addInt32", int32.max, int32.min, -1),
  is("addInt64", -3n, -5n, 2n),
  is("addInt64", 2n ** 53n + 1n, 2n ** 53n, 1n), // no double holds it
  is("addInt64", int64.min, int64.max, 1n),
  is("addUint32", uint32.max, uint32.max, 0),
  is("addUint32", 1, uint32.max, 2),
  is("addUint64", uint64.max, uint64.max, 0n),
  is("addUint64", 1n, uint64.max, 2n),
  is("join", "a, ü, 🔑", ["a", "ü", "🔑"], ", "),
  is("join", "--", ["", "", ""], "-"),
  is("join", "", [], "-"),
  is("concat", bytes(1, 2, 3), [bytes(1, 2), bytes(), bytes(3)]),

  is(
    "scalars",
    create(ScalarSetSchema, scalars),
    scalars.bytesValue,
    scalars.boolValue,
    scalars.int32Value,
    scalars.int64Value,
    scalars.uint32Value,
    scalars.uint64Value,
    scalars.stringValue,
  ),
  is("scalars", create(ScalarSetSchema), bytes(), false, 0, 0n, 0, 0n, ""),
  is(
    "lists",
    create(ListSetSchema, {
      bools: [false, false, true],
      int32s: [int32.max, 0, int32.min],
      int64s: [int64.max, int64.min],
      uint32s: [uint32.max, 0],
      uint64s: [uint64.max, 0n],
      strings: ["ü", ""],
      chunks: [bytes(0), bytes()],
      items: items.toReversed(),
    }),
    [true, false, false],
    [int32.min, 0, int32.max],
    [int64.min, int64.max],
    [0, uint32.max],
    [0n, uint64.max],
    ["", "ü"],
    [bytes(), bytes(0)],
    items,
  ),
  is("lists", create(ListSetSchema), [], [], [], [], [], [], [], []),
  is(
    "maps",
    maps,
    maps.byBool,
    maps.byInt32,
    maps.byInt64,
    maps.byUint32,
    maps.byUint64,
    maps.byString,
    maps.counts,
    maps.items,
  ),
  is("maps", create(MapSetSchema), {}, {}, {}, {}, {}, {}, {}, {}),

  is("range", [int32.max, int32.min], int32.max, 2),
  is("range", [], 5, 0),
  is("makeItems", [10, 11, 12, 13].map(makeItem), 10, 4),
  is("indexByName", { "item 1": makeItem(1), "item 2": makeItem(2) }, [makeItem(1), makeItem(2)]),
  is("countRunes", { a: 2, "🔑": 1, " ": 1 }, "a🔑a "),

  ...seeds.map((seed) => is("makeItem", makeItem(seed), seed)),
  ...seeds.map((seed) => is("isItem", true, makeItem(seed), seed)),
  is("isItem", false, makeItem(6), 7),
  is("isItem", false, undefined, 7),
  ...seeds.map((seed) => is("echoItem", makeItem(seed), makeItem(seed))),
  is("echoItem", undefined, undefined),

  is(
    "elapsed",
    create(DurationSchema, { nanos: 1 }),
    at(1_700_000_000n, 999_999_999),
    at(1_700_000_001n, 0),
  ),
  is(
    "elapsed",
    create(DurationSchema, { seconds: -1_700_000_000n, nanos: -999_999_999 }),
    at(1_700_000_000n, 999_999_999),
    undefined,
  ),
  is("elapsed", create(DurationSchema), undefined, undefined),
  is(
    "describe",
    ["interop.Item", "a", "b", "c", "d"],
    anyPack(ItemSchema, makeItem(3)),
    { b: 1.5, a: "text", c: null, d: [true, { e: 0 }] },
    true,
  ),
  is("describe", [""], undefined, undefined, false),
  is("utf8Length", 7n, "aü🔑"),
  is("utf8Length", 0n, ""),
  is("discard", undefined, new Uint8Array(60_000)),
  is("discard", undefined, bytes()),

  is("next", 0n, 0n),
  is("next", uint64.max, uint64.max),
  is("next", 1n, 2n),
  ...sizes.map((size) => is("fill", pattern(size), size)),
  ...sizes.map((size) => is("sum", sum(pattern(size)), pattern(size))),

  is(
    "words",
    "a b c d e f g h i j k l m n",
    ...("a b c d e f g h i j k l m n".split(" ") as unknown as Parameters<Everything["words"]>),
  ),
  is("then$", "t", "t"),
  is("close", "c", "c"),
  is("constructor$", "n", "n"),
  is("toString$", "s", "s"),
  is("snake_case", "_", "_"),
  is("sleep", 5, 5),
  is("log", undefined, "a line"),
];
