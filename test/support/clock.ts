// Time that passes when the test says so.

import { spyOn } from "bun:test";

/** Stands in for `performance.now` and `setTimeout` until it is disposed of. */
export class Clock implements Disposable {
  nowMs = 1_000;
  /** What each `setTimeout` was given. */
  readonly delaysMs: number[] = [];
  readonly #timers = new Map<number, { readonly atMs: number; readonly run: () => void }>();
  readonly #spies = [
    spyOn(performance, "now").mockImplementation(() => this.nowMs),
    spyOn(globalThis, "setTimeout").mockImplementation(((run: () => void, delayMs = 0) => {
      const id = this.delaysMs.push(delayMs);
      this.#timers.set(id, { atMs: this.nowMs + delayMs, run });
      return { id, unref() {} };
    }) as never),
    spyOn(globalThis, "clearTimeout").mockImplementation(((timer: { id: number } | undefined) => {
      if (timer !== undefined) this.#timers.delete(timer.id);
    }) as never),
  ];

  /** Timers that are set. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets time pass, and fires the timers that come due in it. */
  advance(byMs: number): void {
    const untilMs = this.nowMs + byMs;
    for (;;) {
      const next = [...this.#timers].sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (next === undefined || next[1].atMs > untilMs) break;
      this.#timers.delete(next[0]);
      this.nowMs = next[1].atMs;
      next[1].run();
    }
    this.nowMs = untilMs;
  }

  [Symbol.dispose](): void {
    for (const spy of this.#spies) spy.mockRestore();
  }
}
