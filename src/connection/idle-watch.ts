// Waits until nothing is in flight on a connection, in either direction, and all has gone out.

import type { Transport } from "../transport/transport.ts";

// How often it is looked whether the last words have gone out.
const unsentPollMs = 2;

/** One half of a connection. */
export interface Half {
  readonly count: number;
  /** Set while somebody waits. */
  onIdle: (() => void) | undefined;
}

export class IdleWatch {
  readonly #halves: readonly Half[];
  readonly #transport: Transport;
  #idle: PromiseWithResolvers<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(halves: readonly Half[], transport: Transport) {
    this.#halves = halves;
    this.#transport = transport;
  }

  /** Resolves when it is so, or the connection is closed. */
  idle(): Promise<void> {
    if (this.#idle === undefined) {
      this.#idle = Promise.withResolvers();
      for (const half of this.#halves) half.onIdle = this.#check;
      this.#check();
    }
    return this.#idle?.promise ?? Promise.resolve();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#idle !== undefined) this.#check();
  }

  readonly #check = (): void => {
    clearTimeout(this.#timer);
    if (!this.#isClosed) {
      if (this.#halves.some(({ count }) => count > 0)) return;
      if (this.#transport.unsentBytes > 0) {
        this.#timer = setTimeout(this.#check, unsentPollMs);
        return;
      }
    }
    for (const half of this.#halves) half.onIdle = undefined;
    this.#idle?.resolve();
    this.#idle = undefined;
  };
}
