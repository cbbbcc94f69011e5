// Two connections, small windows, and everything at once: what is whole arrives whole, everything
// settles, and the books of both sides are empty when it has.

import { expect, test } from "bun:test";

import { isPlugError, PlugError } from "bun-plug";
import fc from "fast-check";
import { Connection } from "../../src/connection/connection.ts";
import { bindService, type CallTarget } from "../../src/rpc/bound-service.ts";
import { Dispatcher } from "../../src/rpc/dispatcher.ts";
import type { Service } from "../../src/rpc/service.ts";
import { Behaviour } from "../behaviour/gen/behaviour_plug.ts";
import { behaviourHandler } from "../behaviour/fixture/handler.ts";
import { pair } from "../support/connections.ts";
import { eventually } from "../support/processes.ts";
import { within } from "../support/within.ts";

type Rpc = "echo" | "count" | "break" | "sum" | "first" | "double" | "echoBlobs";
type Ending = "whole" | "left" | "aborted" | "late" | "source fails";

interface Command {
  readonly rpc: Rpc;
  readonly count: number;
  readonly byteCount: number;
  readonly ending: Ending;
  /** The element at which it is left, aborted, or its source fails. */
  readonly at: number;
  /** Turns of the event loop before it starts. */
  readonly delay: number;
  /** Whether its reader takes a turn of the event loop for each element. */
  readonly isSlow: boolean;
}

const command: fc.Arbitrary<Command> = fc.record({
  rpc: fc.constantFrom<Rpc[]>("echo", "count", "break", "sum", "first", "double", "echoBlobs"),
  count: fc.nat(60),
  byteCount: fc.oneof(
    { weight: 6, arbitrary: fc.nat(400) },
    { weight: 2, arbitrary: fc.nat(3_000) },
    { weight: 1, arbitrary: fc.integer({ min: 65_000, max: 140_000 }) },
  ),
  ending: fc.constantFrom<Ending[]>("whole", "whole", "left", "aborted", "late", "source fails"),
  at: fc.nat(40),
  delay: fc.nat(5),
  isSlow: fc.boolean(),
});

const windowBytes = fc.constantFrom(1024, 1500, 4096, 20_000);
const plan = fc.record({
  commands: fc.array(command, { minLength: 5, maxLength: 40 }),
  atTheEnd: fc.array(command, { minLength: 1, maxLength: 12 }),
  streamWindowBytes: windowBytes,
  connectionWindowBytes: windowBytes,
  maxInFlightCalls: fc.constantFrom(3, 8, 1_000),
  maxRunningHandlers: fc.constantFrom(1_000, 1_000, 6),
});
type Plan = typeof plan extends fc.Arbitrary<infer P> ? P : never;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** How a command came out: `"whole"`, or the code of its error. Throws if it came out wrong. */
async function outcomeOf(client: Behaviour, command: Command): Promise<string> {
  for (let i = 0; i < command.delay; i++) await turn();
  try {
    return (await run(client, command)) ? "whole" : "torn";
  } catch (error) {
    if (isPlugError(error)) return error.code;
    throw error;
  }
}

async function run(client: Behaviour, command: Command): Promise<boolean> {
  const { rpc, byteCount, ending, at, isSlow } = command;
  // Long elements are few, for the sake of time.
  const count = byteCount > 3_000 ? Math.min(command.count, 5) : command.count;
  const controller = new AbortController();
  const options = {
    signal: controller.signal,
    ...(ending === "late" ? { timeoutMs: 1 + (at % 8) } : {}),
  };
  let step = 0;
  const reached = async (): Promise<boolean> => {
    step += 1;
    if (isSlow) await turn();
    if (ending === "aborted" && step > at) controller.abort();
    return ending === "left" && step > at;
  };

  async function* source<T>(make: (i: number) => T): AsyncGenerator<T> {
    for (let i = 1; i <= count; i++) {
      if (ending === "source fails" && i > at) throw new PlugError("data_loss", "source failed");
      yield make(i);
      if (isSlow && i % 7 === 0) await turn();
    }
  }
  async function taken<T>(messages: AsyncIterable<T>): Promise<T[] | undefined> {
    const all: T[] = [];
    for await (const message of messages) {
      all.push(message);
      if (await reached()) return undefined;
    }
    return all;
  }

  switch (rpc) {
    case "echo": {
      const echoed = client.echo(`${count}`, options);
      if (ending === "aborted") controller.abort();
      return (await echoed) === `${count}`;
    }
    case "count":
    case "break": {
      const all = await taken(client[rpc](1, count, byteCount, 0, options));
      return all?.every((each, i) => isElement(each, i + 1, byteCount)) ?? true;
    }
    case "sum": {
      const sum = client.sum(
        source((i) => ({ number: BigInt(i) })),
        options,
      );
      if (ending === "aborted") setImmediate(() => controller.abort());
      return (await sum) === (BigInt(count) * BigInt(count + 1)) / 2n;
    }
    case "first":
      return (
        (await client.first(
          source((i) => ({ number: BigInt(i) })),
          options,
        )) === 1n
      );
    case "double": {
      const all = await taken(
        client.double(
          source((i) => ({ number: BigInt(i) })),
          options,
        ),
      );
      return all?.every(({ number }, i) => number === BigInt(2 * i + 2)) ?? true;
    }
    case "echoBlobs": {
      const make = (i: number) => ({ data: new Uint8Array(byteCount).fill(i) });
      const all = await taken(client.echoBlobs(source(make), options));
      return all?.every(({ data }, i) => isFilled(data, i + 1, byteCount)) ?? true;
    }
  }
}

function isElement(
  element: { readonly number: number; readonly padding: Uint8Array },
  number: number,
  byteCount: number,
): boolean {
  return element.number === number && isFilled(element.padding, 7, byteCount);
}

function isFilled(data: Uint8Array, byte: number, byteCount: number): boolean {
  return data.byteLength === byteCount && data.every((each) => each === byte);
}

/** The outcomes that a command may have while nobody closes the connection. */
function mayBe({ rpc, ending, count }: Command): readonly string[] {
  const own =
    rpc === "break"
      ? ["aborted"]
      : rpc === "first" && count === 0
        ? ["invalid_argument"]
        : ["whole"];
  switch (ending) {
    case "whole":
      return own;
    case "left":
      return [...own, "whole"];
    case "aborted":
      return [...own, "cancelled"];
    case "late":
      return [...own, "deadline_exceeded"];
    case "source fails":
      return [...own, "data_loss"];
  }
}

function booksOf(...connections: readonly Connection[]): number[] {
  return connections.flatMap(
    ({ inFlightCount, incomingCount, deadlineCount, outstandingBytes }) => [
      inFlightCount,
      incomingCount,
      deadlineCount,
      outstandingBytes.sent,
      outstandingBytes.received,
    ],
  );
}

const noBooks = new Array<number>(10).fill(0);

async function carryOut({
  commands,
  atTheEnd,
  maxRunningHandlers,
  ...limits
}: Plan): Promise<void> {
  const service = Behaviour as unknown as Service<object, object>;
  const dispatcher = new Dispatcher([{ service, handler: behaviourHandler() }], {
    maxRunningHandlers,
  });
  const { host, plugin } = pair({ limits, handler: dispatcher });
  const target: CallTarget = { connection: () => host, close: async () => {} };
  const methodIds = new Map(Behaviour.methods.map(({ name }, i) => [name, i]));
  const client = new Behaviour.client(bindService(Behaviour, methodIds, target));

  const outcomes = await within(
    5_000,
    Promise.all(commands.map((command) => outcomeOf(client, command))),
  );
  const wrong = commands.flatMap((each, i) => {
    const outcome = outcomes[i] as string;
    return mayBe(each).includes(outcome) ? [] : [`${outcome} from ${JSON.stringify(each)}`];
  });
  expect(wrong).toEqual([]);
  expect([host.closeReason, plugin.closeReason]).toEqual([undefined, undefined]);
  await eventually(
    "the books are empty",
    () => Bun.deepEquals(booksOf(host, plugin), noBooks),
    2_000,
  ).catch(() => {});
  expect(booksOf(host, plugin)).toEqual(noBooks);

  const last = atTheEnd.map((command) => outcomeOf(client, { ...command, delay: 0 }));
  for (let i = 0; i < (atTheEnd[0]?.delay ?? 0); i++) await turn();
  host.close(new PlugError("unavailable", "closed in the middle"));
  const ends = await within(5_000, Promise.all(last));

  const torn = ends.filter((end, i) => {
    const command = atTheEnd[i] as Command;
    return end !== "unavailable" && !mayBe(command).includes(end);
  });
  expect(torn).toEqual([]);
  await eventually("the plugin's end hears of it", () => plugin.closeReason !== undefined, 2_000);
  expect(booksOf(host, plugin)).toEqual(noBooks);
  await within(2_000, dispatcher.idle());
}

test("streams, unary calls, cancels and one close, all at once, settle and leave nothing", async () => {
  await fc.assert(fc.asyncProperty(plan, carryOut), {
    numRuns: 60,
    seed: 31,
    interruptAfterTimeLimit: 8_000,
  });
}, 30_000);
