// Looks at shared memory for a while before the process goes to sleep: one for all connections.
//
// Waking a sleeping process costs the kernel 5 to 60 µs; an answer that is looked for is there in
// one. It is looked for only where it lately came soon, and never for longer than `turnNs` before
// timers, I/O and everything else of the process have their turn.

import { nowNs } from "./clock.ts";

/** Something that may have to be looked at. */
export interface Pollable {
  /** Takes what is there. Returns whether there was something. Must not throw. */
  poll(): boolean;
  /** Until when it is worth looking, on the clock of `nowNs`; 0 if it is not. */
  readonly pollUntilNs: number;
  /** What comes, comes at long intervals: nothing else is near. */
  readonly isRare: boolean;
  /** What was taken is being worked on, in microtasks: that is not to be kept waiting. */
  readonly isAtWork: boolean;
  /** Nothing is looked for any more. Returns false if something has come meanwhile. */
  sleep(): boolean;
}

// The longest that the event loop is kept waiting.
const turnNs = 50_000;
// A look at the clock costs as much as twenty at the memory.
const looksPerClock = 24;
const pollsPerClock = 4;

export class Poller {
  // Those that are awake: they are looked at, or will be before the event loop waits.
  // An array: a Set's iterator costs more than the looks.
  readonly #awake: Pollable[] = [];
  #isMicrotaskDue = false;
  #isTurnDue = false;
  #turnStartedNs = 0;
  #isTurnOver = false;
  #pollCount = 0;
  #vainLooks = 0;

  /** Looks at it from now on, until it sleeps. */
  wake(pollable: Pollable): void {
    this.#add(pollable);
    this.#schedule();
  }

  /** Looks at it now, since something has come, and then until it sleeps. */
  look(pollable: Pollable): void {
    if (this.#awake.includes(pollable)) return;
    this.#add(pollable);
    pollable.poll();
    // A turn of the event loop to look once more would cost a rare call a system call on each side.
    const isOver = pollable.isRare && pollable.pollUntilNs === 0;
    // It may have ended meanwhile.
    if (isOver && this.#awake.includes(pollable) && pollable.sleep()) this.remove(pollable);
    this.#schedule();
  }

  #add(pollable: Pollable): void {
    if (this.#awake.includes(pollable)) return;
    if (this.#awake.length === 0 && !this.#isTurnDue) this.#turnStartedNs = nowNs();
    this.#awake.push(pollable);
  }

  /** Forgets it. */
  remove(pollable: Pollable): void {
    const index = this.#awake.indexOf(pollable);
    if (index >= 0) this.#awake.splice(index, 1);
  }

  isAwake(pollable: Pollable): boolean {
    return this.#awake.includes(pollable);
  }

  #schedule(): void {
    if (this.#awake.length === 0) return;
    // In a microtask, so that whoever waits for what was found goes first; but not for ever.
    if (this.#isWanted() && !this.#checkTurn()) {
      if (this.#isMicrotaskDue) return;
      this.#isMicrotaskDue = true;
      queueMicrotask(this.#microtask);
    } else if (!this.#isTurnDue) {
      this.#isTurnDue = true;
      setImmediate(this.#turn);
    }
  }

  #isWanted(): boolean {
    for (const pollable of this.#awake) if (pollable.pollUntilNs > 0) return true;
    return false;
  }

  // Once it is over it stays so until the event loop has turned, whoever asks.
  #checkTurn(): boolean {
    this.#pollCount = (this.#pollCount + 1) % pollsPerClock;
    this.#isTurnOver ||= this.#pollCount === 0 && nowNs() - this.#turnStartedNs > turnNs;
    return this.#isTurnOver;
  }

  readonly #microtask = (): void => {
    this.#isMicrotaskDue = false;
    this.#run();
  };

  readonly #turn = (): void => {
    this.#isTurnDue = false;
    this.#isTurnOver = false;
    this.#turnStartedNs = nowNs();
    this.#run();
  };

  // No more than a few looks: microtasks of others, which may lead to an answer, go in between.
  #run(): void {
    const isWanted = this.#isWanted();
    let isFound = false;
    const mostLooks = isWanted && !this.#isAtWork() ? looksPerClock : 1;
    for (let looks = 0; looks < mostLooks && !isFound; looks++) {
      // Backwards: what ends while it is looked at is taken out.
      for (let i = this.#awake.length - 1; i >= 0; i--) if (this.#awake[i]?.poll()) isFound = true;
      this.#vainLooks += 1;
    }
    if (isFound) this.#vainLooks = 0;
    else if (!isWanted || this.#vainLooks >= looksPerClock) this.#letSleep();
    this.#schedule();
  }

  #isAtWork(): boolean {
    for (const pollable of this.#awake) if (pollable.isAtWork) return true;
    return false;
  }

  #letSleep(): void {
    this.#vainLooks = 0;
    const now = nowNs();
    for (const pollable of [...this.#awake]) {
      if (pollable.pollUntilNs <= now && pollable.sleep()) this.remove(pollable);
    }
  }
}

/** The one of this process. */
export const poller = new Poller();
