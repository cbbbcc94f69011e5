import { type Case, type Cases, messages } from "../messages.ts";
import { load } from "./generated.ts";

const { PbfReader, PbfWriter } = (await import("pbf" as string)) as any;
const peer = await load("pbf.js");

function of(name: string, message: object): Case {
  const [write, read] = [peer[`write${name}`], peer[`read${name}`]];
  const plain = structuredClone(message);
  return {
    encode: () => {
      const pbf = new PbfWriter();
      write(plain, pbf);
      return pbf.finish();
    },
    decode: (bytes) => read(new PbfReader(bytes)),
  };
}

const { inner, ...test } = messages["protobufjs' own"];
const innerInner = inner?.innerInner;

export const cases: Cases = {
  key: of("Key", messages.key),
  "value 16 B": of("Value", messages["value 16 B"]),
  "value 1 KiB": of("Value", messages["value 1 KiB"]),
  record: of("Record", messages.record),
  "large 64 KiB": of("Large", messages["large 64 KiB"]),
  // Members as in the .proto file, and 64-bit integers as numbers.
  "protobufjs' own": of("Test", {
    ...test,
    inner: {
      int32: inner?.int32,
      inner_inner: { ...innerInner, long: Number(innerInner?.long) },
      outer: inner?.outer,
    },
  }),
};
