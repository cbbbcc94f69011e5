// The printed codecs beside toBinary and fromBinary, over every message of the conformance suite.

import { describe, expect, test } from "bun:test";

import {
  clone,
  create,
  createRegistry,
  type DescMessage,
  equals,
  fromBinary,
  isMessage,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import type { MessageCodec } from "bun-plug/codec";
import fc from "fast-check";

import { isPlugError } from "../../src/error/plug-error.ts";
import { codecs, files } from "../conformance/messages.ts";
import { decode, encode } from "./support/coding.ts";
import { messageOf } from "./support/arbitrary.ts";
import { difference } from "./support/same.ts";

const registry = createRegistry(...files);

interface Case {
  readonly name: string;
  readonly schema: DescMessage;
  readonly codec: MessageCodec<Message, never>;
}

const cases = [...codecs].map(([name, codec]): Case => {
  return { name, codec, schema: registry.getMessage(name) as DescMessage };
});
// The messages with all kinds of fields; the others are in them. One of them requires itself, so
// that there is none.
const large = cases.filter(
  ({ schema }) =>
    schema.fields.length > 20 &&
    !schema.fields.some(({ presence, message }) => presence === 3 && message === schema),
);

/** A message, or undefined for bytes that are refused. */
function attempt(read: () => Message): Message | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** As `attempt`, and nothing but a PlugError may be thrown. */
function attemptOurs({ codec, name }: Case, bytes: Uint8Array): Message | undefined {
  try {
    return decode(codec, bytes);
  } catch (error) {
    if (!isPlugError(error) || error.code !== "data_loss" || !error.message.includes(name))
      throw error;
    return undefined;
  }
}

/** The message without what tells that it is one. */
function initOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(initOf);
  const entries = Object.entries(value).filter(([key]) => !key.startsWith("$"));
  return Object.fromEntries(entries.map(([key, inner]) => [key, initOf(inner)]));
}

function expectAlike(one: Case, input: Uint8Array): void {
  const bytes = Uint8Array.from(input); // and no Buffer, which protobuf-es would give views of
  const theirs = attempt(() => fromBinary(one.schema, bytes));
  const ours = attemptOurs(one, bytes);
  if ((ours === undefined) !== (theirs === undefined)) {
    throw new Error(`${ours ? "ours" : "theirs"} reads ${Buffer.from(bytes).toString("hex")}`);
  }
  if (ours !== undefined) expect(difference(ours, theirs)).toBeUndefined();
}

test("there are messages of proto2, proto3 and editions, with all kinds of fields", () => {
  expect(cases.length).toBeGreaterThan(30);
  expect(new Set(large.map(({ schema }) => schema.file.edition)).size).toBe(3);
});

describe.each(cases)("$name", ({ schema, codec }) => {
  test("empty: the very message that create makes", () => {
    expect(difference(decode(codec, new Uint8Array(0)), create(schema))).toBeUndefined();
  });
});

describe.each(large)("$name", (one) => {
  const { schema, codec } = one;

  test("is written as toBinary writes it, and read as fromBinary reads it", () => {
    fc.assert(
      fc.property(messageOf(schema), (message) => {
        const bytes = encode(codec, message);

        expect(Buffer.compare(bytes, toBinary(schema, message))).toBe(0);
        expect(difference(decode(codec, bytes), fromBinary(schema, bytes))).toBeUndefined();
      }),
      { numRuns: 300, seed: 71 },
    );
  });

  test("is made of an init shape as create makes it", () => {
    fc.assert(
      fc.property(messageOf(schema), (message) => {
        const init = initOf(message) as never;

        expect(difference(codec.from(init), create(schema, init))).toBeUndefined();
      }),
      { numRuns: 300, seed: 77 },
    );
  });

  test("is a message to isMessage, equals, clone, toJson and toBinary", () => {
    fc.assert(
      fc.property(messageOf(schema), (message) => {
        const bytes = toBinary(schema, message);

        const read = decode(codec, bytes);

        expect(isMessage(read, schema)).toBe(true);
        const theirs = fromBinary(schema, bytes);
        // NaN is not equal to itself.
        expect(equals(schema, read, theirs)).toBe(equals(schema, clone(schema, theirs), theirs));
        expect(difference(clone(schema, read), clone(schema, theirs))).toBeUndefined();
        expect(Buffer.compare(toBinary(schema, read), bytes)).toBe(0);
        expect(json(schema, read)).toEqual(json(schema, theirs));
      }),
      { numRuns: 100, seed: 72 },
    );
  });

  test("is read or refused as fromBinary does it, from bytes that were changed", () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat(255), kind: fc.nat(3) });
    fc.assert(
      fc.property(
        messageOf(schema),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (message, changes) => {
          let bytes = toBinary(schema, message);
          for (const { at, byte, kind } of changes) bytes = changed(bytes, at, byte, kind);

          expectAlike(one, bytes);
        },
      ),
      { numRuns: 1_000, seed: 73 },
    );
  });

  test("is read or refused as fromBinary does it, from bytes that were cut off", () => {
    fc.assert(
      fc.property(messageOf(schema, 2), fc.nat(), (message, at) => {
        const bytes = toBinary(schema, message);

        expectAlike(one, bytes.subarray(0, at % (bytes.length + 1)));
      }),
      { numRuns: 300, seed: 74 },
    );
  });

  test("merges what is given twice as fromBinary does it", () => {
    fc.assert(
      fc.property(messageOf(schema), messageOf(schema), (first, second) => {
        expectAlike(one, Buffer.concat([toBinary(schema, first), toBinary(schema, second)]));
      }),
      { numRuns: 200, seed: 75 },
    );
  });

  test("is read or refused as fromBinary does it, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.array(record(schema), { maxLength: 6 }), (records) => {
        expectAlike(one, Buffer.concat(records));
      }),
      { numRuns: 1_000, seed: 76 },
    );
  });
});

function changed(
  bytes: Uint8Array,
  at: number,
  byte: number,
  kind: number,
): Uint8Array<ArrayBuffer> {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (kind) {
    case 0: // another byte
      return Uint8Array.from([...before, byte, ...after.subarray(1)]);
    case 1: // a byte less
      return Uint8Array.from([...before, ...after.subarray(1)]);
    case 2: // a byte more
      return Uint8Array.from([...before, byte, ...after]);
    default: // a bit turned
      return Uint8Array.from([
        ...before,
        (after[0] ?? 0) ^ (1 << (byte & 7)),
        ...after.subarray(1),
      ]);
  }
}

/** A field of the message, or nearly, with any wire type and any value. */
function record(schema: DescMessage): fc.Arbitrary<Uint8Array> {
  const number = fc.oneof(
    fc.constantFrom(...schema.fields.map(({ number }) => number)),
    fc.integer({ min: 0, max: 600 }),
  );
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 12 }),
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Uint8Array.from([bytes.length, ...bytes])),
  );
  return fc.tuple(number, fc.nat(7), value).map(([no, wireType, bytes]) => {
    const tag = no * 8 + wireType;
    const head = tag < 0x80 ? [tag] : [(tag & 0x7f) | 0x80, tag >>> 7];
    return Uint8Array.from([...head, ...bytes]);
  });
}

// Not everything that can be read is JSON: an Any of an unknown type, for one.
function json(schema: DescMessage, message: Message): unknown {
  try {
    return toJson(schema, message, { registry });
  } catch (error) {
    return String(error);
  }
}
