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

/** What is measured, in the order in which it is printed. */
export const directions = ["encode", "write", "decode"] as const;
export type Direction = (typeof directions)[number];

/** Medians of one round, in nanoseconds. */
export type Round = Partial<Record<MessageName, Partial<Record<Direction, number>>>>;

const schemas = [KeySchema, ValueSchema, RecordSchema, LargeSchema, TestSchema];

if (import.meta.main) await main(process.argv[2] ?? "", process.argv[3]);

async function main(name: string, only: string | undefined): Promise<void> {
  const { cases } = (await import(`./peer/${name}.ts`)) as { readonly cases: Cases };
  const round: Round = {};
  for (const row of Object.keys(cases) as MessageName[]) {
    if (only !== undefined && only !== row) continue;
    const { encode, write, decode } = cases[row];
    const bytes = bytesOf(row);
    // A library that leaves something out would win.
    if (Buffer.compare(encode(), bytes) !== 0) throw new Error(`${name}: ${row} has other bytes`);
    round[row] = {
      encode: await median(encode),
      ...(write && { write: await median(write) }),
      decode: await median(() => decode(bytes)),
    };
  }
  console.log(JSON.stringify(round));
}

function bytesOf(row: MessageName): Uint8Array {
  const message = messages[row];
  const schema = schemas.find(({ typeName }) => typeName === message.$typeName);
  return toBinary(schema as typeof KeySchema, message as never);
}

async function median(run: () => unknown): Promise<number> {
  const { p50 } = await measure(() => do_not_optimize(run()), {});
  return p50;
}
