// Request ids, and the calls that are waiting for answers to them.

import { PlugError } from "../error/plug-error.ts";
import type { OutgoingCall } from "../call/outgoing-call.ts";

// An id is a slot in a table, low 20 bits, and how often the slot has been used, high 12 bits: the
// table is a plain array, and an answer to an earlier call of the slot is not taken for a new one.
const slotBits = 20;
const slotMask = (1 << slotBits) - 1;
const generationStep = 1 << slotBits;

export class CallTable {
  readonly #calls: (OutgoingCall | undefined)[] = [undefined];
  // The id that the next call in a slot will have.
  readonly #ids: number[] = [0];
  readonly #freeSlots: number[] = [];
  #slotCount = 0;

  get count(): number {
    return this.#slotCount - this.#freeSlots.length;
  }

  /** Gives the call an id that no other call has. */
  add(call: OutgoingCall): void {
    let slot = this.#freeSlots.pop();
    if (slot === undefined) {
      // From 1 on, so that slot 0 comes last, in its second use: id 0 is the connection itself.
      this.#slotCount += 1;
      slot = this.#slotCount & slotMask;
      this.#ids[slot] = this.#slotCount;
    }
    this.#calls[slot] = call;
    call.id = this.#ids[slot] as number;
  }

  /** @throws {PlugError} `protocol_error`: no call has this id. */
  get(id: number): OutgoingCall {
    const call = this.#calls[id & slotMask];
    if (call === undefined || call.id !== id) {
      throw new PlugError("protocol_error", `answer to request id ${id}, which is not in flight`);
    }
    return call;
  }

  /** The id may be used again. False: the call had none any more. */
  remove(call: OutgoingCall): boolean {
    const slot = call.id & slotMask;
    if (this.#calls[slot] !== call) return false;
    this.#calls[slot] = undefined;
    this.#ids[slot] = notZero((call.id + generationStep) >>> 0);
    this.#freeSlots.push(slot);
    return true;
  }

  /** Empties the table, and returns what was in it. */
  takeAll(): OutgoingCall[] {
    const calls = this.#calls.filter((call) => call !== undefined);
    for (const call of calls) this.remove(call);
    return calls;
  }
}

// Slot 0 skips its first use whenever the count comes round.
function notZero(id: number): number {
  return id === 0 ? generationStep : id;
}
