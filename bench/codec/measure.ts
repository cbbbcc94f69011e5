// One round of one library, in a process of its own: prints nanoseconds by row.
//
//   bun bench/codec/measure.ts NAME p50|min [ROW]

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

/** What is measured, in the order in which it is printed. */
export const directions = ["encode", "write", "decode"] as const;
export type Direction = (typeof directions)[number];

/** One round, in nanoseconds. */
export type Round = Partial<Record<MessageName, Partial<Record<Direction, number>>>>;

const schemas = [KeySchema, ValueSchema, RecordSchema, LargeSchema, TestSchema];

if (import.meta.main) await main(process.argv.slice(2));

async function main([name = "", statistic, only]: readonly string[]): Promise<void> {
  const { cases } = (await import(`./peer/${name}.ts`)) as { readonly cases: Cases };
  const time = async (run: () => unknown): Promise<number> => {
    const { p50, min } = await measure(() => do_not_optimize(run()), {});
    return statistic === "min" ? min : p50;
  };
  const round: Round = {};
  for (const row of Object.keys(cases) as MessageName[]) {
    if (only !== undefined && only !== row) continue;
    const { encode, write, decode } = cases[row];
    const bytes = bytesOf(row);
    // A library that leaves something out would win.
    if (Buffer.compare(encode(), bytes) !== 0) throw new Error(`${name}: ${row} has other bytes`);
    round[row] = {
      encode: await time(encode),
      ...(write && { write: await time(write) }),
      decode: await time(() => decode(bytes)),
    };
  }
  console.log(JSON.stringify(round));
}

function bytesOf(row: MessageName): Uint8Array {
  const message = messages[row];
  const schema = schemas.find(({ typeName }) => typeName === message.$typeName);
  return toBinary(schema as typeof KeySchema, message as never);
}
