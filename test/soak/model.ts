// Carries out random commands on two connections, and fails where they do not do as the model says.
//
//   bun test/soak/model.ts [runs] [seed] [seconds]     2,000 runs, a new seed, 60 s unless said
//                                                      otherwise; it stops at what comes first

import { runModel } from "../connection/model/run.ts";
import { memoryTransports } from "../../src/transport/memory-transport.ts";
import { socketTransport } from "../../src/transport/socket-transport.ts";
import { socketPair } from "../support/socket-pair.ts";

// So many runs have one seed, so that one that fails can be had again by itself.
const runsPerSeed = 50;
const maxCommands = 400;
// Every so many seeds are run over a real socket.
const socketEvery = 5;

export interface ModelReport {
  readonly runs: number;
  readonly seed: number;
  readonly spanMs: number;
  readonly commandCount: number;
  readonly commands: Record<string, number>;
  readonly outcomes: Record<string, number>;
}

/** Throws what fast-check says of the smallest failing case, with its seed. */
export async function model(runs: number, seed: number, maxSpanMs: number): Promise<ModelReport> {
  const startedAt = performance.now();
  const commands: Record<string, number> = {};
  const outcomes: Record<string, number> = {};
  let runCount = 0;
  for (let nth = 0; runCount < runs && performance.now() - startedAt < maxSpanMs; nth++) {
    const count = Math.min(runsPerSeed, runs - runCount);
    const tally = await runModel({
      transports: nth % socketEvery === socketEvery - 1 ? socketTransports : memoryTransports,
      runs: count,
      seed: (seed + nth) | 0,
      maxCommands,
    });
    add(commands, tally.commands);
    add(outcomes, tally.outcomes);
    runCount += count;
  }
  const commandCount = Object.values(commands).reduce((sum, count) => sum + count, 0);
  const spanMs = Math.round(performance.now() - startedAt);
  return { runs: runCount, seed, spanMs, commandCount, commands, outcomes };
}

function socketTransports() {
  const [left, right] = socketPair();
  return [socketTransport(left), socketTransport(right)] as const;
}

function add(sums: Record<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [name, count] of counts) sums[name] = (sums[name] ?? 0) + count;
}

if (import.meta.main) {
  const [runs = 2_000, seed = Date.now() | 0, seconds = 60] = process.argv.slice(2).map(Number);
  console.log(`seed ${seed}`);
  console.log(await model(runs, seed, seconds * 1_000));
}
