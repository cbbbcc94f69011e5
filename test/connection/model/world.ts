// Two connections, and what must be true of them: the simple model that the real ones are held
// against. Nothing in here waits for time: the clock is the test's.

import { getEventListeners } from "node:events";

import { isPlugError, PlugError } from "bun-plug";
import { CallClass, classOf, defaultLimits, type Limits } from "../../../src/call/limits.ts";
import type { CallTerms } from "../../../src/call/outgoing-call.ts";
import { FrameFlag } from "../../../src/frame/frame-header.ts";
import { emptyWriter } from "../../../src/stream/payload.ts";
import { pump } from "../../../src/stream/pump.ts";
import type { Transport } from "../../../src/transport/transport.ts";
import { Clock } from "../../support/clock.ts";
import { settled } from "../../support/fake-transport.ts";
import { bytesReader, bytesWriter, route } from "../../support/payloads.ts";
import { Gate } from "./gate.ts";
import { messageOf, Reading, Source } from "./halves.ts";
import { type HandlerCall, type ModelCall, Side } from "./side.ts";

const { ClientStreams, ServerStreams } = FrameFlag;

/** What both sides accept. */
export interface Setting {
  readonly limits: readonly [Partial<Limits>, Partial<Limits>];
  readonly transports: () => readonly [Transport, Transport];
}

/** How a call is placed. */
export interface Placing {
  readonly flags: number;
  readonly byteCount: number;
  readonly timeoutMs: number | undefined;
  readonly parent: HandlerCall | undefined;
  /** The handler answers at once, with so many bytes. */
  readonly atOnceBytes: number | undefined;
}

// How often microtasks are given their turn before a look.
const looksPerLook = 4;

export class World implements Disposable {
  readonly clock = new Clock();
  readonly sides: readonly [Side, Side];
  readonly calls: ModelCall[] = [];
  /** What was found wrong where nothing can be thrown. */
  readonly faults: string[] = [];
  readonly #smallest: readonly number[];
  #isLost = false;

  constructor({ limits: [left, right], transports }: Setting) {
    const [a, b] = transports();
    const gates = [new Gate(a), new Gate(b)] as const;
    [gates[0].peer, gates[1].peer] = [gates[1], gates[0]];
    const limits = [
      { ...defaultLimits, ...left },
      { ...defaultLimits, ...right },
    ] as const;
    this.sides = [
      new Side(this, "left", gates[0], limits[0], limits[1]),
      new Side(this, "right", gates[1], limits[1], limits[0]),
    ];
    [this.sides[0].peer, this.sides[1].peer] = [this.sides[1], this.sides[0]];
    this.#smallest = [
      Math.min(limits[0].maxInFlightCalls, limits[1].maxInFlightCalls),
      Math.min(limits[0].maxInFlightStreams, limits[1].maxInFlightStreams),
      Math.min(limits[0].maxNestedCalls, limits[1].maxNestedCalls),
    ];
    for (const side of this.sides) side.connection.start();
  }

  [Symbol.dispose](): void {
    this.clock[Symbol.dispose]();
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  fault(text: string): void {
    this.faults.push(text);
  }

  /** Calls whose outcome is not known. */
  unsettled(side?: Side): ModelCall[] {
    return this.calls.filter(
      ({ outcome, from }) => outcome === undefined && (side === undefined || from === side),
    );
  }

  /** Calls that handlers have not answered, or been told to. */
  open(): HandlerCall[] {
    return this.sides.flatMap(({ handlerCalls }) =>
      handlerCalls.filter(({ call, said }) => !call.isAnswered && said === undefined),
    );
  }

  place(from: Side, { flags, byteCount, timeoutMs, parent, atOnceBytes }: Placing): ModelCall {
    const tag = this.calls.length;
    const { nowMs } = this.clock;
    const parentDueAt = parent?.call.deadlineAt ?? 0;
    const ownDueAt = timeoutMs === undefined ? Infinity : nowMs + timeoutMs;
    const dueAt = Math.min(ownDueAt, parentDueAt > 0 ? parentDueAt : Infinity);
    const callClass = classOf(parent !== undefined, flags);
    const call: ModelCall = {
      tag,
      from,
      flags,
      callClass,
      parent,
      dueAt,
      atOnceBytes,
      isSmall: byteCount < 60_000,
      controller: new AbortController(),
      isRefused: callClass === CallClass.Nested && from.nestedCount === this.#smallest[2],
      refusal: this.#refusalOf(from, parent, dueAt),
      outcome: undefined,
      arrived: undefined,
      source: undefined,
      reading: undefined,
      isSourceFailed: false,
    };
    this.calls.push(call);
    const terms: CallTerms = {
      signal: call.controller.signal,
      timeoutMs,
      context: parent?.call,
      // Every other call that has no message says by its headers which one it is.
      headers: tag % 2 === 0 ? { tag: `${tag}` } : undefined,
    };
    const to = { ...route, objectId: tag + 1 };
    const value = (flags & ClientStreams) === 0 ? messageOf(tag, 0, byteCount) : undefined;
    if (flags === 0) {
      const promise = from.connection.call(
        to,
        bytesWriter,
        value as Uint8Array,
        bytesReader,
        terms,
      );
      this.#watch(call, promise);
      return call;
    }
    try {
      const writer = value === undefined ? emptyWriter : bytesWriter;
      const stream = from.connection.openStream(
        to,
        flags,
        writer,
        value as Uint8Array,
        bytesReader,
        bytesReader,
        terms,
      );
      this.#watch(call, stream.response);
      const { sender, receiver } = stream;
      if (receiver !== undefined) {
        call.reading = new Reading(receiver, tag, (text) => this.fault(text));
      }
      if (sender !== undefined) {
        const source = new Source(tag);
        call.source = source;
        pump(source, sender, (message) => {
          sender.send(bytesWriter, message);
          source.sentCount += 1;
        }).then(
          () => sender.end(),
          (error: PlugError) => stream.abandon(error),
        );
      }
    } catch (error) {
      this.#settled(call, { error });
    }
    return call;
  }

  #refusalOf(from: Side, parent: HandlerCall | undefined, dueAt: number): string | undefined {
    if (from.connection.closeReason !== undefined) return from.connection.closeReason.code;
    if (parent === undefined && from.hasHeardOfDrain) return "draining";
    if (parent?.call.abortReason !== undefined) return "cancelled";
    return dueAt <= this.clock.nowMs ? "deadline_exceeded" : undefined;
  }

  #watch(call: ModelCall, promise: Promise<Uint8Array>): void {
    promise.then(
      (value) => this.#settled(call, { value }),
      (error: unknown) => this.#settled(call, { error }),
    );
  }

  #settled(call: ModelCall, outcome: NonNullable<ModelCall["outcome"]>): void {
    if (call.outcome !== undefined) this.fault(`call ${call.tag} has settled twice`);
    call.outcome = outcome;
    const why = "error" in outcome ? this.#whyNot(call, outcome.error) : whyNoValue(call, outcome);
    if (why !== undefined) this.fault(`call ${call.tag} ${why}`);
    const { signal } = call.controller;
    if (getEventListeners(signal, "abort").length > 0) this.fault(`call ${call.tag} listens on`);
  }

  /** Why a call cannot have failed with this. */
  #whyNot(call: ModelCall, error: unknown): string | undefined {
    if (!isPlugError(error)) return `failed with ${Bun.inspect(error)}`;
    if (error === call.from.connection.closeReason) return undefined;
    const { code } = error;
    const said = call.arrived?.said;
    const isTrue: Partial<Record<string, boolean>> = {
      cancelled: isGivenUp(call) || call.parent?.call.abortReason !== undefined,
      deadline_exceeded: this.clock.nowMs >= call.dueAt,
      draining: call.callClass !== CallClass.Nested && call.from.peer.isDraining,
      resource_exhausted: call.isRefused,
      data_loss: call.isSourceFailed,
    };
    if (isTrue[code] === true) return undefined;
    if (typeof said === "string" && said === code && error.origin === "peer") return undefined;
    return `failed with ${error.message}, and nothing speaks for it`;
  }

  /** The connection ends: each call of this side has settled when this returns. */
  lose(how: (reason: PlugError) => void): void {
    this.#isLost = true;
    how(new PlugError("unavailable", "lost on purpose"));
  }

  /** Looks at what must be true at any moment, when microtasks have run. */
  async look(): Promise<void> {
    // A source with many messages takes many microtasks to hear that it has failed.
    for (let i = 0; i < looksPerLook; i++) await settled();
    for (const side of this.sides) {
      const { closeReason, inFlightCount } = side.connection;
      if (closeReason !== undefined && !this.#isLost) this.fault(`closed: ${closeReason.message}`);
      const unsettled = this.unsettled(side);
      if (inFlightCount !== unsettled.length) {
        this.fault(`${side.name} has ${inFlightCount} calls in flight, not ${unsettled.length}`);
      }
      for (const call of unsettled) {
        const why = this.#mustBeSettled(call);
        if (why !== undefined) this.fault(`call ${call.tag} is not settled, though ${why}`);
      }
    }
    for (const call of this.calls) this.#lookAtReading(call);
    if (this.faults.length > 0) throw new Error(this.faults.join("\n"));
  }

  #mustBeSettled(call: ModelCall): string | undefined {
    const { from, parent, dueAt } = call;
    if (call.refusal !== undefined) return `it was refused with ${call.refusal}`;
    if (call.isRefused) return "there was no place for it";
    if (from.connection.closeReason !== undefined) return "its connection is closed";
    if (isGivenUp(call)) return "it was given up";
    if (dueAt <= this.clock.nowMs) return "its deadline has passed";
    if (parent?.call.abortReason !== undefined) return "what it was made for was given up";
    return undefined;
  }

  #lookAtReading({ tag, reading, outcome, arrived }: ModelCall): void {
    if (reading === undefined || reading.isLeft) return;
    if (reading.error !== undefined && !(outcome !== undefined && "error" in outcome)) {
      this.fault(`stream ${tag} failed, and its call did not`);
    } else if (reading.error !== undefined && outcome !== undefined && "error" in outcome) {
      if (reading.error !== outcome.error) this.fault(`stream ${tag} failed with something else`);
    } else if (reading.isEnded && reading.seenCount !== arrived?.source?.sentCount) {
      this.fault(`stream ${tag} ended after ${reading.seenCount} messages`);
    }
  }

  /** Lets everything through until nothing moves any more. */
  async calm(): Promise<void> {
    let calmTurns = 0;
    for (let turn = 0; calmTurns < 3; turn++) {
      if (turn === 20_000) throw new Error("it never calms down");
      for (const { gate } of this.sides) gate.letThrough(Infinity);
      await settled();
      await new Promise((resolve) => setImmediate(resolve));
      calmTurns = this.#isCalm() ? calmTurns + 1 : 0;
    }
    await this.look();
  }

  #isCalm(): boolean {
    const closed = this.sides.filter(({ connection }) => connection.closeReason !== undefined);
    if (closed.length > 0) return closed.length === this.sides.length;
    return this.sides.every(({ gate }) => gate.isClear);
  }

  /** Looks at what must be true when everything that was said has been heard. */
  async lookWhenCalm(): Promise<void> {
    await this.calm();
    if (this.#isLost) this.#lookAtTheEnd();
    else for (const side of this.sides) this.#lookAtSide(side);
    for (const side of this.sides) {
      const { name, connection, peer } = side;
      const { sent } = connection.outstandingBytes;
      const { received } = peer.connection.outstandingBytes;
      // A handler that has left its messages gives nothing back for them until it answers.
      const isLeft = this.unsettled(side).some(({ arrived }) => arrived?.reading?.isLeft === true);
      if (isLeft ? sent < received : sent !== received) {
        this.fault(`${name} has ${sent} bytes outstanding, and ${received} have been received`);
      }
    }
    await this.look();
  }

  #lookAtSide(side: Side): void {
    const { name, connection, peer } = side;
    const unsettled = this.unsettled(side);
    const running = unsettled.filter(({ arrived }) => arrived?.call.isAnswered === false);
    const waiting = unsettled.filter(({ arrived }) => arrived === undefined);
    if (running.length + waiting.length < unsettled.length) {
      this.fault(`${name} has not heard of an answer`);
    }
    if (connection.idCount !== running.length || peer.connection.incomingCount !== running.length) {
      const counts = [connection.idCount, peer.connection.incomingCount, running.length];
      this.fault(`ids, calls at the peer, calls in flight of ${name} differ: ${counts}`);
    }
    for (const callClass of [CallClass.Call, CallClass.Stream, CallClass.Nested]) {
      const runningTags = running.filter((each) => each.callClass === callClass);
      const waitingTags = waiting.filter((each) => each.callClass === callClass);
      if (waitingTags.length === 0) continue;
      if (runningTags.length !== this.#smallest[callClass]) {
        this.fault(`${name} lets calls of class ${callClass} wait, and has places for them`);
      }
      const lastRunning = Math.max(...runningTags.map(({ tag }) => tag));
      const firstWaiting = Math.min(...waitingTags.map(({ tag }) => tag));
      if (lastRunning > firstWaiting) this.fault(`call ${lastRunning} overtook ${firstWaiting}`);
    }
    for (const handlerCall of peer.handlerCalls) this.#lookAtHandlerCall(handlerCall);
    const dueCount =
      unsettled.filter(({ dueAt }) => dueAt < Infinity).length +
      side.handlerCalls.filter(
        ({ call }) => !call.isAnswered && call.deadlineAt > 0 && call.abortReason === undefined,
      ).length;
    if (connection.deadlineCount !== dueCount) {
      this.fault(`${name} watches ${connection.deadlineCount} deadlines, not ${dueCount}`);
    }
    if (side.pingCount > 0) this.fault(`${side.pingCount} pings of ${name} are not answered`);
    for (const { reading, source, tag, arrived, outcome } of this.calls) {
      if (outcome !== undefined || arrived === undefined) continue;
      this.#lookAtStream(tag, reading, arrived.source);
      this.#lookAtStream(tag, arrived.reading, source);
    }
  }

  #lookAtHandlerCall({ call, model }: HandlerCall): void {
    const isOver = model.outcome !== undefined;
    if (isOver && !call.isAnswered)
      this.fault(`the handler of ${model.tag} has not heard of its end`);
    if (!isOver && call.abortReason !== undefined) {
      this.fault(`the handler of ${model.tag} was told to stop: ${call.abortReason.message}`);
    }
  }

  // Nothing waits for ever: whoever reads is given what there is.
  #lookAtStream(tag: number, reading: Reading | undefined, source: Source | undefined): void {
    if (reading === undefined || reading.waitingCount === 0 || source === undefined) return;
    if (source.queuedCount > 0) this.fault(`a reader of ${tag} waits, and so does a message`);
    if (source.isEnded && !source.isFailed && reading.waitingCount > 0) {
      this.fault(`a reader of ${tag} waits, and its stream has ended`);
    }
  }

  #lookAtTheEnd(): void {
    for (const { name, connection, pingCount } of this.sides) {
      const { idCount, incomingCount, inFlightCount, deadlineCount, outstandingBytes } = connection;
      const { sent, received } = outstandingBytes;
      const books = { idCount, incomingCount, inFlightCount, deadlineCount, sent, received };
      if (Object.values({ ...books, pingCount }).some((count) => count !== 0)) {
        this.fault(`left behind on the ${name}: ${JSON.stringify({ ...books, pingCount })}`);
      }
    }
  }

  /** Lets everything come to its end, and looks that nothing is left. */
  async finish(): Promise<void> {
    const idle = this.sides.map(({ connection }) => connection.idle());
    for (let round = 0; this.unsettled().length > 0; round++) {
      if (round > this.calls.length + 10) throw new Error("calls are left that nothing settles");
      for (const handlerCall of this.open()) handlerCall.answer(8);
      for (const call of this.unsettled()) call.source?.end();
      for (const reading of this.#readings()) for (let i = 0; i < 4; i++) reading.read();
      await this.calm();
    }
    await this.lookWhenCalm();
    // Whether all has gone out is looked at by the clock.
    this.clock.advance(10);
    await Promise.all(idle);
    for (const reading of this.#readings()) {
      while (!reading.isOver) {
        reading.read();
        await settled();
      }
    }
    this.#lookAtTheEnd();
    for (const call of this.calls) {
      const { tag, reading, arrived, outcome } = call;
      const sentCount = arrived?.source?.sentCount;
      const isWhole = outcome !== undefined && "value" in outcome && reading?.isLeft === false;
      if (isWhole && reading.seenCount !== sentCount) {
        this.fault(`stream ${tag} gave ${reading.seenCount} of ${sentCount} messages`);
      }
      for (const source of [call.source, arrived?.source]) {
        if (source?.isOver === false) this.fault(`a source of ${tag} was abandoned`);
        if ((source?.returnCount ?? 0) > 1) this.fault(`a source of ${tag} was told to stop twice`);
      }
    }
    if (this.clock.timerCount > 0) {
      const isWatched = this.sides.some(({ connection }) => connection.closeReason === undefined);
      if (!isWatched) this.fault(`${this.clock.timerCount} timers are left`);
    }
    await this.look();
  }

  #readings(): Reading[] {
    return this.calls
      .flatMap(({ reading, arrived }) => [reading, arrived?.reading])
      .filter(
        (reading) => reading !== undefined && !reading.isOver && !reading.isLeft,
      ) as Reading[];
  }
}

function isGivenUp(call: ModelCall): boolean {
  return call.controller.signal.aborted || call.reading?.isLeft === true;
}

function whyNoValue(call: ModelCall, { value }: { value: Uint8Array }): string | undefined {
  const answer = call.arrived?.said;
  if (typeof answer !== "number") return "was answered, and nobody has answered it";
  const hasMessages = (call.flags & ServerStreams) !== 0;
  const expected = hasMessages ? new Uint8Array(0) : messageOf(call.tag, 1, answer);
  return Buffer.compare(value, expected) === 0 ? undefined : "has the answer of another one";
}
