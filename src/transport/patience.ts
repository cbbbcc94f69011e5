// When one end of a ring is worth looking at, instead of sleeping until the doorbell rings.

import { nowNs } from "./clock.ts";
import type { Crowd } from "./crowd.ts";

// How long it is worth looking for an answer.
const answerNs = 50_000;
// After an answer, the next request is looked for so long, if this one came so soon after the last.
const shortPauseNs = 150_000;
// Whoever has looked in vain lets some occasions pass, twice as many each time, up to so many.
const maxSkipCount = 31;

const coreCount = navigator.hardwareConcurrency;

export class Patience {
  /** Whether it looks at all. */
  readonly mayLook: boolean;
  /** More processes are busy than there are cores: who looks keeps one from who has work to do. */
  isCrowded = false;
  readonly #crowd: Crowd;
  readonly #member;
  // Until when it is worth looking for an answer, and for another request.
  #answerUntilNs = 0;
  #requestUntilNs = 0;
  // When something was last found, and how long after what was found before it.
  #foundNs = 0;
  #pauseNs = 0;
  #skipCount = 0;
  #skipsLeft = 0;

  constructor(isWanted: boolean, crowd: Crowd) {
    this.mayLook = isWanted && coreCount > 1;
    this.#crowd = crowd;
    this.#member = crowd.join();
  }

  /** Until when it is worth looking; 0 if it is not. */
  untilNs(isAwaited: boolean): number {
    return isAwaited && this.#answerUntilNs > this.#requestUntilNs
      ? this.#answerUntilNs
      : this.#requestUntilNs;
  }

  /** What was found came long after what was found before it. */
  get isRare(): boolean {
    return this.#pauseNs >= shortPauseNs;
  }

  /** An answer is due: worth a look, if it has been worth it lately. */
  expectAnswer(): boolean {
    if (!this.mayLook || this.isCrowded) return false;
    if (this.#skipsLeft > 0) {
      this.#skipsLeft -= 1;
      return false;
    }
    this.#answerUntilNs = nowNs() + answerNs;
    return true;
  }

  /** A request has been answered: another is worth a look, if this one came soon. */
  expectRequest(atNs: number): boolean {
    if (!this.mayLook || this.isCrowded) return false;
    if (this.isRare) {
      this.#requestUntilNs = 0;
    } else if (this.#requestUntilNs === 0 && this.#skipsLeft > 0) {
      this.#skipsLeft -= 1;
    } else {
      this.#requestUntilNs = atNs + shortPauseNs;
    }
    return this.#requestUntilNs > 0;
  }

  /**
   * Something was there. `peerBusyCount`: busy connections of the other process, as it says.
   * Returns those of this one.
   */
  found(atNs: number, isAwaited: boolean, peerBusyCount: number): number {
    this.#pauseNs = atNs - this.#foundNs;
    this.#foundNs = atNs;
    this.#crowd.found(this.#member, atNs);
    const busyCount = Math.max(1, this.#crowd.busyCount);
    // Both ends come to the same sum: their own process, those at its connections, and those at the
    // other connections of the peer.
    this.isCrowded = busyCount + Math.max(1, peerBusyCount) > coreCount;
    if (this.isCrowded) {
      this.#answerUntilNs = 0;
      this.#requestUntilNs = 0;
    } else {
      if (this.untilNs(isAwaited) > 0) this.#skipCount >>= 1; // it was worth it
      if (this.#answerUntilNs > 0) this.#answerUntilNs = atNs + answerNs;
    }
    return busyCount;
  }

  /** It is left alone from now on. */
  rest(isAwaited: boolean): void {
    if (this.untilNs(isAwaited) > 0) {
      this.#skipCount = Math.min(maxSkipCount, this.#skipCount * 2 + 1);
      this.#skipsLeft = this.#skipCount;
    }
    this.#answerUntilNs = 0;
    this.#requestUntilNs = 0;
  }
}
