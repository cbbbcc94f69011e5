// One of the two sides of the model: a connection, and a handler that does what it is told.

import { PlugError, type ErrorCode } from "bun-plug";
import type { CallHandler, IncomingCall } from "../../../src/call/incoming-call.ts";
import { CallClass, type Limits } from "../../../src/call/limits.ts";
import { Connection } from "../../../src/connection/connection.ts";
import { FrameFlag, FrameKind } from "../../../src/frame/frame-header.ts";
import { emptyWriter } from "../../../src/stream/payload.ts";
import { pump } from "../../../src/stream/pump.ts";
import { bytesReader, bytesWriter } from "../../support/payloads.ts";
import type { Gate } from "./gate.ts";
import { messageOf, Reading, Source } from "./halves.ts";
import type { World } from "./world.ts";

const { ClientStreams, FromCallee, More, Nested } = FrameFlag;

/** A call, as its caller knows it, and what may become of it. */
export interface ModelCall {
  readonly tag: number;
  readonly from: Side;
  readonly flags: number;
  readonly callClass: CallClass;
  readonly parent: HandlerCall | undefined;
  /** By the clock of the test; Infinity without a deadline. */
  readonly dueAt: number;
  readonly atOnceBytes: number | undefined;
  /** In one frame. */
  readonly isSmall: boolean;
  readonly controller: AbortController;
  /** It is nested, and there was no place for it. */
  readonly isRefused: boolean;
  /** The code with which it must have failed when it was placed. */
  readonly refusal: string | undefined;
  outcome: { readonly value: Uint8Array } | { readonly error: unknown } | undefined;
  arrived: HandlerCall | undefined;
  source: Source | undefined;
  reading: Reading | undefined;
  isSourceFailed: boolean;
}

/** The same call, as its callee knows it. */
export class HandlerCall {
  readonly side: Side;
  readonly call: IncomingCall;
  readonly model: ModelCall;
  readonly source: Source | undefined;
  readonly reading: Reading | undefined;
  /** What the handler has said: an answer of so many bytes, or an error of this code. */
  said: number | string | undefined;

  constructor(side: Side, call: IncomingCall, model: ModelCall) {
    this.side = side;
    this.call = call;
    this.model = model;
    if ((call.streamFlags & ClientStreams) !== 0) {
      const receiver = call.messages(bytesReader);
      this.reading = new Reading(receiver, model.tag, (text) => side.world.fault(text));
    }
    const { sender } = call;
    if (sender === undefined) return;
    const source = new Source(model.tag);
    this.source = source;
    pump(source, sender, (message) => {
      sender.send(bytesWriter, message);
      source.sentCount += 1;
    }).then(
      () => call.respond(emptyWriter, undefined),
      (error: unknown) => call.fail(error),
    );
  }

  /** A stream's answer is its end. */
  answer(byteCount: number): void {
    this.said = byteCount;
    if (this.source !== undefined) this.source.end();
    else this.call.respond(bytesWriter, messageOf(this.model.tag, 1, byteCount));
  }

  /** With `bySource` the error comes from the stream's source, behind its messages. */
  fail(code: ErrorCode, bySource: boolean): void {
    this.said = code;
    const error = new PlugError(code, "as it was told");
    if (bySource && this.source !== undefined) this.source.fail(error);
    else this.call.fail(error);
  }
}

export class Side implements CallHandler {
  readonly world: World;
  readonly name: string;
  readonly gate: Gate;
  readonly connection: Connection;
  readonly handlerCalls: HandlerCall[] = [];
  peer!: Side;
  isDraining = false;
  hasHeardOfDrain = false;
  pingCount = 0;
  // Nested calls that this side has placed and that the peer has not said its last word on.
  readonly #nestedIds = new Set<number>();
  // By class: the last one of those that came in one frame.
  readonly #lastTags = [-1, -1, -1];

  constructor(world: World, name: string, gate: Gate, limits: Limits, peerLimits: Limits) {
    this.world = world;
    this.name = name;
    this.gate = gate;
    this.connection = new Connection({
      transport: gate,
      limits,
      peerLimits,
      handler: this,
      events: {
        onDraining: () => this.#onDraining(),
        onFrame: (direction, kind, flags, _methodId, id) => {
          if (direction === ">") this.#onSent(kind, flags, id);
          else this.#onReceived(kind, flags, id);
        },
      },
    });
  }

  get nestedCount(): number {
    return this.#nestedIds.size;
  }

  handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number): void {
    const model = this.world.calls[call.objectId - 1];
    if (model === undefined) {
      this.world.fault(`a call of object ${call.objectId} that nobody has placed`);
      return;
    }
    const { tag, flags, callClass, isSmall } = model;
    const header = call.requestHeaders.get("tag");
    const isSame =
      model.from === this.peer &&
      call.streamFlags === flags &&
      call.callClass === callClass &&
      header === (tag % 2 === 0 ? `${tag}` : undefined);
    if (!isSame) this.world.fault(`call ${tag} is not as it was placed`);
    if (model.arrived !== undefined) this.world.fault(`call ${tag} has come twice`);
    const hasMessage = (flags & ClientStreams) === 0;
    const message = buffer.slice(from, to);
    if (hasMessage && Buffer.compare(message, messageOf(tag, 0, message.byteLength)) !== 0) {
      this.world.fault(`the request of call ${tag} is another one`);
    }
    if (isSmall && tag < (this.#lastTags[callClass] as number)) {
      this.world.fault(`call ${tag} was overtaken by ${this.#lastTags[callClass]}`);
    }
    if (isSmall) this.#lastTags[callClass] = tag;
    const handlerCall = new HandlerCall(this, call, model);
    model.arrived = handlerCall;
    this.handlerCalls.push(handlerCall);
    if (model.atOnceBytes !== undefined && flags === 0) handlerCall.answer(model.atOnceBytes);
    else call.defer();
  }

  ping(): void {
    this.pingCount += 1;
    const { connection } = this;
    connection.ping().then(
      () => void (this.pingCount -= 1),
      (error: unknown) => {
        this.pingCount -= 1;
        if (error !== connection.closeReason) this.world.fault(`a ping failed with ${error}`);
      },
    );
  }

  drain(): void {
    if (this.connection.closeReason === undefined) this.isDraining = true;
    this.connection.drain(new PlugError("draining", `${this.name} drains`));
  }

  // Whatever has not been sent by now is rejected, and nothing that has.
  #onDraining(): void {
    if (this.hasHeardOfDrain) this.world.fault(`${this.name} was told twice of the drain`);
    this.hasHeardOfDrain = true;
  }

  #onSent(kind: number, flags: number, id: number): void {
    if (kind === FrameKind.Request && (flags & Nested) !== 0) this.#nestedIds.add(id);
  }

  #onReceived(kind: number, flags: number, id: number): void {
    const isAnswer =
      kind === FrameKind.Response ||
      (kind === FrameKind.Continue && (flags & FromCallee) !== 0 && this.#isAnswering(id));
    if (kind === FrameKind.Response && (flags & More) !== 0) this.#answering.add(id);
    else if (kind === FrameKind.Error || (isAnswer && (flags & More) === 0)) {
      this.#answering.delete(id);
      this.#nestedIds.delete(id);
    }
  }

  // Calls whose answer comes in pieces.
  readonly #answering = new Set<number>();

  #isAnswering(id: number): boolean {
    return this.#answering.has(id);
  }
}
