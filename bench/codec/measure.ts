// One round of one library, in a process of its own: prints nanoseconds by row.
//
//   bun bench/codec/measure.ts NAME [ROW]

import { toBinary } from "@bufbuild/protobuf";
import { do_not_optimize, measure } from "mitata";

import {
  KeySchema,
  LargeSchema,
  RecordSchema,
  TestSchema,
  ValueSchema,
} from "./gen/codec_bench_pb.ts";
import { type Cases, type MessageName, messages } from "./messages.ts";

/** Medians of one round, in nanoseconds. */
export type Round = Partial<
  Record<MessageName, { readonly encode: number; readonly decode: number }>
>;

const schemas = [KeySchema, ValueSchema, RecordSchema, LargeSchema, TestSchema];

const [name, only] = process.argv.slice(2);
const { cases } = (await import(`./peer/${name}.ts`)) as { readonly cases: Cases };

const round: Record<string, { encode: number; decode: number }> = {};
for (const row of Object.keys(cases) as MessageName[]) {
  if (only !== undefined && only !== row) continue;
  const { encode, decode } = cases[row];
  const message = messages[row];
  const schema = schemas.find(({ typeName }) => typeName === message.$typeName);
  const bytes = toBinary(schema as typeof KeySchema, message as never);
  // A library that leaves something out would win: the bytes are as many, and come back.
  if (encode().length !== bytes.length) throw new Error(`${name}: ${row} has another length`);
  if (Buffer.compare(encode(), bytes) !== 0) throw new Error(`${name}: ${row} has other bytes`);

  const encoding = await measure(() => do_not_optimize(encode()), {});
  const decoding = await measure(() => do_not_optimize(decode(bytes)), {});
  round[row] = { encode: encoding.p50, decode: decoding.p50 };
}
console.log(JSON.stringify(round));
