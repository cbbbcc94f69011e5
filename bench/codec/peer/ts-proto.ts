import { type Case, type Cases, messages } from "../messages.ts";
import { load } from "./generated.ts";

const { Key, Value, Record, Large, Test } = await load("ts-proto.ts");

// Its messages are plain objects with the same members.
function of(type: any, message: object): Case {
  const plain = structuredClone(message);
  return {
    encode: () => type.encode(plain).finish(),
    decode: (bytes) => type.decode(bytes),
  };
}

export const cases: Cases = {
  key: of(Key, messages.key),
  "value 16 B": of(Value, messages["value 16 B"]),
  "value 1 KiB": of(Value, messages["value 1 KiB"]),
  record: of(Record, messages.record),
  "large 64 KiB": of(Large, messages["large 64 KiB"]),
  "protobufjs' own": of(Test, messages["protobufjs' own"]),
};
