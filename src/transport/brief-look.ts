// Looks for something to come, for a moment, before a caller that blocks goes to sleep.

import { nowNs } from "./clock.ts";

// As long as the poller looks.
const lookNs = 50_000;
const looksPerClock = 64;
// Whoever has looked in vain lets some occasions pass, twice as many each time, up to so many.
const maxSkipCount = 31;

export class BriefLook {
  #skipCount = 0;
  #skipsLeft = 0;

  /** Asks `take` until it has found something: at least once, and no longer than it is worth. */
  until(take: () => boolean): boolean {
    if (take()) return true;
    if (this.#skipsLeft > 0) {
      this.#skipsLeft -= 1;
      return false;
    }
    let endNs = 0;
    for (let looks = 1; ; looks++) {
      if (take()) {
        this.#skipCount >>= 1; // it was worth it
        return true;
      }
      if (looks % looksPerClock !== 0) continue;
      const now = nowNs();
      if (endNs === 0) endNs = now + lookNs;
      else if (now >= endNs) break;
    }
    this.#skipCount = Math.min(maxSkipCount, this.#skipCount * 2 + 1);
    this.#skipsLeft = this.#skipCount;
    return false;
  }
}
