// Looks at shared memory for a while before the process goes to sleep: one for all connections.
//
// Waking a sleeping process costs the kernel 5 to 60 µs; an answer that is looked for is there in
// one. It is looked for only where it lately came soon, and never for longer than `turnNs` before
// timers, I/O and everything else of the process have their turn.

/** Something that may have to be looked at. */
export interface Pollable {
  /** Takes what is there. Returns whether there was something. Must not throw. */
  poll(): boolean;
  /** Until when it is worth looking, on the clock of `Bun.nanoseconds()`; 0 if it is not. */
  readonly pollUntilNs: number;
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
  readonly #awake = new Set<Pollable>();
  #isMicrotaskDue = false;
  #isTurnDue = false;
  #turnStartedNs = 0;
  #isTurnOver = false;
  #pollCount = 0;

  /** Looks at it from now on, until it sleeps. */
  wake(pollable: Pollable): void {
    if (this.#awake.size === 0 && !this.#isTurnDue) this.#turnStartedNs = Bun.nanoseconds();
    this.#awake.add(pollable);
    this.#schedule();
  }

  /** Looks at it now, since something has come, and then until it sleeps. */
  look(pollable: Pollable): void {
    if (this.#awake.has(pollable)) return;
    if (pollable.poll() && pollable.pollUntilNs === 0 && pollable.sleep()) return;
    this.wake(pollable);
  }

  /** Forgets it. */
  remove(pollable: Pollable): void {
    this.#awake.delete(pollable);
  }

  isAwake(pollable: Pollable): boolean {
    return this.#awake.has(pollable);
  }

  #schedule(): void {
    if (this.#awake.size === 0) return;
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
    this.#pollCount += 1;
    this.#isTurnOver ||=
      this.#pollCount % pollsPerClock === 0 && Bun.nanoseconds() - this.#turnStartedNs > turnNs;
    return this.#isTurnOver;
  }

  readonly #microtask = (): void => {
    this.#isMicrotaskDue = false;
    this.#run();
  };

  readonly #turn = (): void => {
    this.#isTurnDue = false;
    this.#isTurnOver = false;
    this.#turnStartedNs = Bun.nanoseconds();
    this.#run();
  };

  #run(): void {
    for (let looks = 1; ; looks++) {
      let isFound = false;
      for (const pollable of this.#awake) if (pollable.poll()) isFound = true;
      if (isFound || this.#awake.size === 0) break;
      if (looks > 1 && looks % looksPerClock !== 0) continue;
      const now = Bun.nanoseconds();
      for (const pollable of this.#awake) {
        if (pollable.pollUntilNs <= now && pollable.sleep()) this.#awake.delete(pollable);
      }
      if (now - this.#turnStartedNs > turnNs) break;
    }
    this.#schedule();
  }
}

/** The one of this process. */
export const poller = new Poller();
