// Messages of any type for fast-check, made from descriptors.

import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  type MessageInitShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";

/** What a field can be given. */
type Value = unknown;

const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("__proto__", "constructor", "\ufeff", "\ufffd", "a".repeat(127), "ä".repeat(64)),
);
const smallBytes = fc.uint8Array({ maxLength: 40 });
const int32 = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 127, 128, 2 ** 31 - 1, -(2 ** 31)));
const uint32 = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const int64 = fc.oneof(
  fc.bigInt({ min: -300n, max: 300n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n, 2n ** 28n, -(2n ** 31n)),
);
const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 300n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

function scalar(type: ScalarType, longAsString: boolean): fc.Arbitrary<Value> {
  const long = (arbitrary: fc.Arbitrary<bigint>): fc.Arbitrary<Value> =>
    longAsString ? arbitrary.map(String) : arbitrary;
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return smallBytes;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.double();
    case ScalarType.FLOAT:
      return fc.float();
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return uint32;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return long(int64);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return long(uint64);
    default:
      return int32;
  }
}

function single(field: DescField, depth: number): fc.Arbitrary<Value> {
  if (field.enum !== undefined) {
    const known = fc.constantFrom(...field.enum.values.map(({ number }) => number));
    return field.enum.open ? fc.oneof(known, int32) : known;
  }
  if (field.message === undefined) {
    return scalar(
      field.scalar as ScalarType,
      "longAsString" in field && field.longAsString === true,
    );
  }
  if (field.message.typeName === "google.protobuf.Struct") {
    if (field.parent?.typeName !== "google.protobuf.Value") {
      return fc.dictionary(text, fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Value>, {
        maxKeys: 4,
      });
    }
  }
  if (isWrapperDesc(field.message) && field.fieldKind === "message" && field.oneof === undefined) {
    return scalar(field.message.fields[0].scalar, false);
  }
  return messageOf(field.message, depth - 1);
}

function valueOf(field: DescField, depth: number): fc.Arbitrary<Value> {
  switch (field.fieldKind) {
    case "list":
      return fc.array(single(field, depth), { maxLength: 5 });
    case "map":
      return fc.dictionary(
        field.mapKey === ScalarType.STRING ? text : scalar(field.mapKey, false).map(String),
        single(field, depth),
        { maxKeys: 4 },
      );
    default:
      return single(field, depth);
  }
}

const unknownField = fc.oneof(
  fc.record({
    no: fc.integer({ min: 4_000, max: 5_000 }),
    wireType: fc.constant(0),
    data: fc.constant(Uint8Array.of(0x96, 1)),
  }),
  fc.record({
    no: fc.integer({ min: 4_000, max: 5_000 }),
    wireType: fc.constant(5),
    data: fc.uint8Array({ minLength: 4, maxLength: 4 }),
  }),
  fc.record({
    no: fc.constant(536_870_911),
    wireType: fc.constant(2),
    data: fc.constant(Uint8Array.of(2, 7, 8)),
  }),
);

/** A message with some of its fields set, and messages in it down to `depth`. */
export function messageOf<Desc extends DescMessage>(desc: Desc, depth = 3): fc.Arbitrary<Message> {
  const required = desc.fields.filter((field) => field.presence === 3);
  const usable =
    depth > 0 ? desc.fields : desc.fields.filter(({ message }) => message === undefined);
  const chosen =
    usable.length === 0
      ? fc.constant([])
      : fc.subarray([...usable], { maxLength: Math.min(usable.length, 8) });
  return chosen
    .chain((fields) => {
      const all = [...new Set([...required, ...fields])];
      return fc.tuple(
        fc.constant(all),
        fc.tuple(...all.map((field) => valueOf(field, depth))),
        fc.array(unknownField, { maxLength: depth === 3 ? 2 : 0 }),
      );
    })
    .map(([fields, values, unknown]) => {
      const init: Record<string, unknown> = {};
      for (const [index, field] of fields.entries()) {
        if (field.oneof === undefined) init[field.localName] = values[index];
        else init[field.oneof.localName] = { case: field.localName, value: values[index] };
      }
      const message: Message = create(desc, init as MessageInitShape<Desc>);
      if (unknown.length > 0) message.$unknown = unknown;
      return message;
    });
}
