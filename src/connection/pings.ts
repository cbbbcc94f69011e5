// Pings that wait for their pong.

import { PlugError } from "../error/plug-error.ts";

export class Pings {
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  #lastId = 0;

  get count(): number {
    return this.#waiting.size;
  }

  add(): { readonly id: number; readonly answered: Promise<void> } {
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

  rejectAll(reason: PlugError): void {
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}
