// Pings of this side that wait for their pong, and of the other that have not got theirs.

import { PlugError } from "../error/plug-error.ts";

// Of either side. On the wire, see PROTOCOL.md.
const maxPingCount = 1024;

export class Pings {
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  #asked: number[] = [];
  #lastId = 0;

  /** Those of this side that wait. */
  get count(): number {
    return this.#waiting.size;
  }

  /** @throws {PlugError} `resource_exhausted`: too many wait already. */
  add(): { readonly id: number; readonly answered: Promise<void> } {
    if (this.#waiting.size >= maxPingCount) {
      throw new PlugError("resource_exhausted", `one more ping than ${maxPingCount} in flight`);
    }
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#lastId === 0 || this.#waiting.has(this.#lastId));
    const ping = Promise.withResolvers<void>();
    this.#waiting.set(this.#lastId, ping);
    return { id: this.#lastId, answered: ping.promise };
  }

  /** @throws {PlugError} `protocol_error`: nobody has asked. */
  answered(id: number): void {
    const ping = this.#waiting.get(id);
    if (ping === undefined) throw new PlugError("protocol_error", `pong ${id} answers no ping`);
    this.#waiting.delete(id);
    ping.resolve();
  }

  /** The other side asks. @throws {PlugError} `protocol_error`: it leaves too many unread. */
  asked(id: number): void {
    if (id === 0) throw new PlugError("protocol_error", "ping has id 0");
    if (this.#asked.length >= maxPingCount) {
      throw new PlugError("protocol_error", `the peer has ${maxPingCount} pings unanswered`);
    }
    this.#asked.push(id);
  }

  /** Those of the other side to be answered now. */
  takeAsked(): readonly number[] {
    const asked = this.#asked;
    this.#asked = [];
    return asked;
  }

  rejectAll(reason: PlugError): void {
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    this.#asked = [];
  }
}
