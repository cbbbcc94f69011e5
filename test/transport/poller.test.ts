// Who is looked at, for how long, and that everything else of the process has its turn.

import { expect, test } from "bun:test";

import { type Pollable, Poller } from "../../src/transport/poller.ts";
import { eventually } from "../support/processes.ts";
import { within } from "../support/within.ts";

// What a test may take that has to see an event loop turn.
const turnsWithinMs = 1_000;

/** Finds something each time that it is looked at, until it is told to stop. */
class Busy implements Pollable {
  readonly isAtWork = false;
  readonly #onPoll: () => void;
  pollCount = 0;
  isOver = false;

  constructor(onPoll: () => void = () => {}) {
    this.#onPoll = onPoll;
  }

  get pollUntilNs(): number {
    return this.isOver ? 0 : Bun.nanoseconds() + 50_000;
  }

  poll(): boolean {
    if (this.isOver) return false;
    this.pollCount += 1;
    // So that a test which fails comes to an end.
    if (this.pollCount > 3_000_000) this.isOver = true;
    this.#onPoll();
    return true;
  }

  sleep(): boolean {
    return true;
  }
}

test.each([0, 1, 2, 3, 4, 5])(
  "timers have their turn while something is always found, and whoever is found wakes it %d times",
  async (wakeCount) => {
    const poller = new Poller();
    const wake = (): void => {
      for (let i = 0; i < wakeCount; i++) poller.wake(busy);
    };
    const busy = new Busy(wake);
    let timerCount = 0;
    const timer = setInterval(() => (timerCount += 1), 1);
    poller.wake(busy);
    await within(
      turnsWithinMs,
      eventually("timers come", () => timerCount >= 5),
    );
    clearInterval(timer);
    const isStillBusy = !busy.isOver;
    busy.isOver = true;
    poller.remove(busy);
    expect(isStillBusy).toBe(true);
  },
);

test.each([0, 1, 2, 3])(
  "timers have their turn while what is found leads to a microtask that wakes it %d times",
  async (wakeCount) => {
    const poller = new Poller();
    const busy = new Busy(() =>
      queueMicrotask(() => {
        for (let i = 0; i < wakeCount; i++) poller.wake(busy);
      }),
    );
    let timerCount = 0;
    const timer = setInterval(() => (timerCount += 1), 1);
    poller.wake(busy);
    await within(
      turnsWithinMs,
      eventually("timers come", () => timerCount >= 5),
    );
    clearInterval(timer);
    const isStillBusy = !busy.isOver;
    busy.isOver = true;
    poller.remove(busy);
    expect(isStillBusy).toBe(true);
  },
);

/** Has something to wait for, and never finds it. */
class Waiting implements Pollable {
  readonly isAtWork: boolean;
  pollCount = 0;
  isOver = false;

  constructor(isAtWork: boolean) {
    this.isAtWork = isAtWork;
  }

  get pollUntilNs(): number {
    return this.isOver ? 0 : Number.MAX_SAFE_INTEGER;
  }

  poll(): boolean {
    this.pollCount += 1;
    return false;
  }

  sleep(): boolean {
    return true;
  }
}

test.each([
  { isAtWork: true, mostLooks: 1, what: "one look" },
  { isAtWork: false, mostLooks: 24, what: "a few looks" },
])(
  "a chain of microtasks waits for no more than $what between two of them: at work $isAtWork",
  async ({ isAtWork, mostLooks }) => {
    const poller = new Poller();
    const waiting = new Waiting(isAtWork);
    poller.wake(waiting);
    const pollCounts: number[] = [];
    for (let step = 0; step < 200; step++) {
      await undefined;
      pollCounts.push(waiting.pollCount);
    }
    waiting.isOver = true;
    poller.remove(waiting);
    const looks = pollCounts.map((count, step) => count - (pollCounts[step - 1] ?? 0));
    expect(Math.max(...looks)).toBe(mostLooks);
  },
);
