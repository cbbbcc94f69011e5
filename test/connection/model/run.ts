// Carries out commands on two connections, and looks whether they agree with the model.

import fc from "fast-check";
import type { Limits } from "../../../src/call/limits.ts";
import type { Transport } from "../../../src/transport/transport.ts";
import { commandsOf, type Setup, Tally } from "./commands.ts";
import { World } from "./world.ts";

export interface ModelOptions {
  readonly transports: () => readonly [Transport, Transport];
  readonly runs: number;
  readonly seed: number;
  readonly maxCommands: number;
}

// A drain and a loss put an end to most of what can happen.
const sometimes = fc.nat(2).map((nth) => nth === 2);
const windowBytes = fc.constantFrom(64, 1_024, 4_096);
const placeCount = fc.integer({ min: 1, max: 3 });
const anyLimits: fc.Arbitrary<Partial<Limits>> = fc.record({
  maxInFlightCalls: placeCount,
  maxInFlightStreams: placeCount,
  maxNestedCalls: placeCount,
  streamWindowBytes: windowBytes,
  connectionWindowBytes: windowBytes,
});

/** Throws what fast-check says of the smallest failing case. */
export async function runModel(options: ModelOptions): Promise<Tally> {
  const tally = new Tally();
  const plans = fc
    .tuple(sometimes, sometimes)
    .chain(([isLosing, isDraining]) => commandsOf(options.maxCommands, isLosing, isDraining));
  await fc.assert(
    fc.asyncProperty(plans, fc.tuple(anyLimits, anyLimits), async (commands, limits) => {
      using world = new World({ limits, transports: options.transports });
      const setup: Setup = { world, tally };
      await fc.asyncModelRun(() => ({ model: setup, real: setup }), commands);
      await world.finish();
      tally.settled(world.calls);
      for (const { connection } of world.sides) {
        if (connection.closeReason === undefined) {
          world.lose((reason) => connection.close(reason));
          await world.lookWhenCalm();
        }
      }
    }),
    { numRuns: options.runs, seed: options.seed, endOnFailure: false },
  );
  return tally;
}
