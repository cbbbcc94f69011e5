// Two connections and every thing that can happen to them, in orders that nobody has thought of,
// held against a simple model: see ./model/world.ts for what must be true.
//
// Longer: bun test/soak/model.ts

import { describe, expect, test } from "bun:test";

import { memoryTransports } from "../../src/transport/memory-transport.ts";
import { socketTransport } from "../../src/transport/socket-transport.ts";
import { socketPair } from "../support/socket-pair.ts";
import type { Tally } from "./model/commands.ts";
import { runModel } from "./model/run.ts";

// Every way in which a call can come out here.
const everyOutcome = [
  "aborted",
  "cancelled",
  "data_loss",
  "deadline_exceeded",
  "draining",
  "internal",
  "not_found",
  "resource_exhausted",
  "unavailable",
  "value",
];

function expectSomethingOfAll({ commands, outcomes, commandCount }: Tally, count: number): void {
  expect(commandCount).toBeGreaterThan(count);
  expect(commands.size).toBe(19);
  expect([...outcomes.keys()].sort()).toEqual(everyOutcome);
}

describe("calls, streams, nested calls, cancels, deadlines, credit, pings, drains and losses", () => {
  test("in any order, each call settles once, as the model says, and nothing is left", async () => {
    const tally = await runModel({
      transports: memoryTransports,
      runs: 200,
      seed: 41,
      maxCommands: 250,
    });

    expectSomethingOfAll(tally, 10_000);
  });

  test("in any order over a real socket, each call settles once, as the model says", async () => {
    const tally = await runModel({
      transports: () => {
        const [left, right] = socketPair();
        return [socketTransport(left), socketTransport(right)];
      },
      runs: 60,
      seed: 42,
      maxCommands: 200,
    });

    expectSomethingOfAll(tally, 2_000);
  });
});
