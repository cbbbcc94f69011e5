// What can happen to the two sides, for fast-check to put into an order.

import fc from "fast-check";
import { PlugError, type ErrorCode } from "bun-plug";
import { FrameFlag } from "../../../src/frame/frame-header.ts";
import type { HandlerCall, ModelCall, Side } from "./side.ts";
import type { Placing, World } from "./world.ts";

/** How often each command was carried out, and how calls came out. */
export class Tally {
  readonly commands = new Map<string, number>();
  readonly outcomes = new Map<string, number>();

  ran(name: string): void {
    this.commands.set(name, (this.commands.get(name) ?? 0) + 1);
  }

  settled(calls: readonly ModelCall[]): void {
    for (const { outcome } of calls) {
      const name =
        outcome === undefined
          ? "none"
          : "value" in outcome
            ? "value"
            : ((outcome.error as PlugError).code ?? "no PlugError");
      this.outcomes.set(name, (this.outcomes.get(name) ?? 0) + 1);
    }
  }

  get commandCount(): number {
    return [...this.commands.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** The model and the real thing: the world has both. */
export interface Setup {
  readonly world: World;
  readonly tally: Tally;
}

type Command = fc.AsyncCommand<Setup, Setup>;

class Action<T> implements Command {
  readonly #name: string;
  readonly #arguments: T;
  readonly #candidates: (world: World) => readonly unknown[];
  readonly #run: (setup: Setup, given: T) => void | Promise<void>;

  constructor(
    name: string,
    given: T,
    candidates: (world: World) => readonly unknown[],
    run: (setup: Setup, given: T) => void | Promise<void>,
  ) {
    this.#name = name;
    this.#arguments = given;
    this.#candidates = candidates;
    this.#run = run;
  }

  check({ world }: Readonly<Setup>): boolean {
    return this.#candidates(world).length > 0;
  }

  async run(setup: Setup): Promise<void> {
    setup.tally.ran(this.#name);
    await this.#run(setup, this.#arguments);
    await setup.world.look();
  }

  toString(): string {
    return `${this.#name} ${JSON.stringify(this.#arguments)}`;
  }
}

function pick<T>(items: readonly T[], nth: number): T {
  return items[nth % items.length] as T;
}

/** A command for one of those that it may be for. */
function on<C, G extends object>(
  name: string,
  candidates: (world: World) => readonly C[],
  given: { readonly [K in keyof G]: fc.Arbitrary<G[K]> },
  run: (candidate: C, given: G, world: World) => void | Promise<void>,
): fc.Arbitrary<Command> {
  return fc
    .tuple(fc.nat(1_000), fc.record(given) as unknown as fc.Arbitrary<G>)
    .map(
      ([nth, rest]) =>
        new Action(name, { nth, ...rest }, candidates, ({ world }, { nth: which, ...args }) =>
          run(pick(candidates(world), which), args as unknown as G, world),
        ),
    );
}

const { ClientStreams, ServerStreams } = FrameFlag;

const smallBytes = fc.nat(300);
const messageBytes = fc.oneof(
  { weight: 12, arbitrary: smallBytes },
  { weight: 3, arbitrary: fc.integer({ min: 900, max: 3_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 65_500, max: 140_000 }) },
);
const anyTimeoutMs = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 60 }) },
);
const code = fc.constantFrom<ErrorCode[]>("not_found", "aborted", "internal");

const anySide = (world: World): readonly Side[] => world.sides;
const openSide = (world: World): readonly Side[] =>
  world.sides.filter(({ connection }) => connection.closeReason === undefined);
const running = (world: World): HandlerCall[] => world.open();
const unsettled = (world: World): ModelCall[] => world.unsettled();
const sources = (world: World) =>
  [...unsettled(world), ...running(world)].flatMap(({ source }) =>
    source === undefined || source.isEnded ? [] : [source],
  );
const readings = (world: World) =>
  [...world.calls, ...running(world)].flatMap(({ reading }) =>
    reading === undefined || reading.isOver || reading.isLeft ? [] : [reading],
  );

const isWaitable = (flags: number, atOnceBytes: number | undefined): number | undefined =>
  flags === 0 ? atOnceBytes : undefined;

type Placed = Pick<Placing, "byteCount" | "timeoutMs" | "atOnceBytes">;
const placed = {
  byteCount: messageBytes,
  timeoutMs: anyTimeoutMs,
  atOnceBytes: fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: smallBytes },
  ),
};

function place(name: string, flags: number, sides = anySide): fc.Arbitrary<Command> {
  return on<Side, Placed>(name, sides, placed, (side, given, world) => {
    const atOnceBytes = isWaitable(flags, given.atOnceBytes);
    world.place(side, { ...given, flags, atOnceBytes, parent: undefined });
  });
}

const nested = on<HandlerCall, Omit<Placed, "byteCount"> & { byteCount: number; flags: number }>(
  "nested",
  running,
  // In one frame: the model counts their places by what goes out.
  {
    ...placed,
    byteCount: smallBytes,
    flags: fc.constantFrom(0, 0, ServerStreams, ClientStreams, ClientStreams | ServerStreams),
  },
  (parent, given, world) => {
    const atOnceBytes = isWaitable(given.flags, given.atOnceBytes);
    world.place(parent.side, { ...given, atOnceBytes, parent });
  },
);

const answer = on<HandlerCall, { byteCount: number }>(
  "answer",
  running,
  { byteCount: messageBytes },
  (handlerCall, { byteCount }) => handlerCall.answer(byteCount),
);

const fail = on<HandlerCall, { with: ErrorCode; bySource: boolean }>(
  "fail",
  running,
  { with: code, bySource: fc.boolean() },
  (handlerCall, given) => handlerCall.fail(given.with, given.bySource),
);

const send = on(
  "send",
  sources,
  { byteCount: messageBytes, count: fc.integer({ min: 1, max: 6 }) },
  (source, { byteCount, count }: { byteCount: number; count: number }) => {
    for (let i = 0; i < (byteCount > 3_000 ? 1 : count); i++) source.push(byteCount);
  },
);

const endSource = on(
  "end",
  (world) => sourcesOf(unsettled(world)),
  {},
  (source) => source.end(),
);

const failSource = on(
  "source fails",
  (world) =>
    unsettled(world).filter(
      ({ source, refusal }) => source?.isEnded === false && refusal === undefined,
    ),
  {},
  (call) => {
    call.isSourceFailed = true;
    call.source?.fail(new PlugError("data_loss", "the source has failed"));
  },
);

function sourcesOf(calls: readonly ModelCall[]) {
  return calls.flatMap(({ source }) => (source === undefined || source.isEnded ? [] : [source]));
}

const read = on(
  "read",
  readings,
  { count: fc.integer({ min: 1, max: 5 }) },
  (reading, { count }: { count: number }) => {
    for (let i = 0; i < count; i++) reading.read();
  },
);

const leave = on("leave", readings, {}, (reading) => reading.leave());

const cancel = on("cancel", unsettled, {}, ({ controller }) => controller.abort());

const pass = on(
  "time passes",
  anySide,
  { byMs: fc.integer({ min: 1, max: 30 }) },
  (_side, { byMs }: { byMs: number }, world) => world.clock.advance(byMs),
);

const ping = on("ping", anySide, {}, (side) => side.ping());

const drain = on("drain", openSide, {}, (side) => side.drain());

const letThrough = on(
  "let through",
  openSide,
  { byteCount: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.nat(2_000), fc.nat(100_000)) },
  async ({ gate }, { byteCount }: { byteCount: number }) => {
    await new Promise((resolve) => setImmediate(resolve));
    gate.letThrough(byteCount);
  },
);

const calm = on("calm", anySide, {}, (_side, _given, world) => world.lookWhenCalm());

const lose = on(
  "lose",
  openSide,
  { isClosed: fc.boolean() },
  (side, { isClosed }: { isClosed: boolean }, world) =>
    world.lose((reason) => {
      if (isClosed) side.connection.close(reason);
      else side.gate.breakOff(new Error("ECONNRESET"));
    }),
);

const bothWays = ClientStreams | ServerStreams;

/** Most of what happens is ordinary; a drain and a loss come in some runs. */
export const commandsOf = (maxCommands: number, isLosing: boolean, isDraining: boolean) =>
  fc.commands<Setup, Setup, false>(
    [
      place("unary", 0),
      place("unary", 0),
      place("server stream", ServerStreams),
      place("client stream", ClientStreams),
      place("both ways", bothWays),
      nested,
      nested,
      answer,
      answer,
      answer,
      fail,
      send,
      send,
      send,
      send,
      endSource,
      failSource,
      read,
      read,
      read,
      leave,
      cancel,
      pass,
      ping,
      letThrough,
      letThrough,
      letThrough,
      letThrough,
      letThrough,
      letThrough,
      calm,
      ...(isDraining ? [drain] : []),
      ...(isLosing ? [lose] : []),
    ],
    { maxCommands, size: "max" },
  );
