// Calls of the peer that could not be answered at once, by request id.

import { PlugError } from "../error/plug-error.ts";
import type { IncomingCall } from "../call/incoming-call.ts";
import { allowanceNames } from "../call/limits.ts";
import type { BulkSend } from "./bulk-queue.ts";
import type { Reassembly } from "./reassembly.ts";

/** A call, and what of it is under way. One of which nothing is, is not held. */
export interface HeldCall {
  readonly call: IncomingCall;
  /** Its handler is at work, or it waits for its turn. */
  isRunning: boolean;
  /** A request of which the rest has not come yet. */
  request: Reassembly | undefined;
  /** A message of its stream of which the rest has not come yet. */
  message: Reassembly | undefined;
  /** An answer that is going out in pieces. */
  answer: BulkSend | undefined;
}

export class HeldCalls {
  readonly #calls = new Map<number, HeldCall>();
  // By class.
  readonly #counts = [0, 0, 0];
  readonly #allowances: readonly number[];

  constructor(allowances: readonly number[]) {
    this.#allowances = allowances;
  }

  get size(): number {
    return this.#calls.size;
  }

  get(id: number): HeldCall | undefined {
    return this.#calls.get(id);
  }

  /**
   * Whether there is a place for one more. The caller counts as we do, a call until its last word:
   * so one that goes over the limit, or uses an id twice, breaks the protocol.
   *
   * @throws {PlugError} `protocol_error`
   */
  checkPlace({ id, callClass }: IncomingCall): void {
    if (this.#calls.size === 0) return;
    if (this.#calls.has(id)) {
      throw new PlugError("protocol_error", `request id ${id} is in use already`);
    }
    const limit = this.#allowances[callClass] as number;
    if ((this.#counts[callClass] as number) < limit) return;
    throw new PlugError(
      "protocol_error",
      `request ${id} is one more than ${allowanceNames[callClass]} ${limit}`,
    );
  }

  hold(call: IncomingCall): HeldCall {
    let held = this.#calls.get(call.id);
    if (held !== undefined) return held;
    held = { call, isRunning: false, request: undefined, message: undefined, answer: undefined };
    this.#calls.set(call.id, held);
    (this.#counts[call.callClass] as number) += 1;
    return held;
  }

  /** Lets go of a call of which nothing is under way any more. */
  settle(held: HeldCall): void {
    const { call, isRunning, request, answer } = held;
    const awaitsEnd = call.isAnswered && !call.isSourceEnded;
    if (isRunning || request !== undefined || answer !== undefined || awaitsEnd) return;
    if (this.#calls.delete(call.id)) (this.#counts[call.callClass] as number) -= 1;
  }

  /** Empties the table, and returns what was in it. */
  takeAll(): HeldCall[] {
    const all = [...this.#calls.values()];
    this.#calls.clear();
    this.#counts.fill(0);
    return all;
  }
}
