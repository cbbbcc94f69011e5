import { type Case, type Cases, messages } from "../messages.ts";
import { load } from "./generated.ts";

const { Key, Value, Record, Large, Test } = (await load("protobufjs.js")).bench.codec;

function of(type: any, properties: object): Case {
  const message = new type(properties);
  return {
    encode: () => type.encode(message).finish(),
    decode: (bytes) => type.decode(bytes),
  };
}

const { inner, ...test } = messages["protobufjs' own"];
const { InnerInner } = Test.Inner;
const { Outer } = (await load("protobufjs.js")).bench.codec;
const { default: Long } = (await import("long" as string)) as any;

export const cases: Cases = {
  key: of(Key, messages.key),
  "value 16 B": of(Value, messages["value 16 B"]),
  "value 1 KiB": of(Value, messages["value 1 KiB"]),
  record: of(Record, messages.record),
  "large 64 KiB": of(Large, messages["large 64 KiB"]),
  "protobufjs' own": of(Test, {
    ...test,
    inner: new Test.Inner({
      int32: inner?.int32,
      innerInner: new InnerInner({
        long: Long.fromString(String(inner?.innerInner?.long)),
        enum: inner?.innerInner?.enum,
        sint32: inner?.innerInner?.sint32,
      }),
      outer: new Outer({ ...inner?.outer }),
    }),
  }),
};
