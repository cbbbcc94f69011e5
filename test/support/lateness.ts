// How late timers come.

/** Of a timer that is set again and again for so long: the lateness of nine in ten, in ms. */
export async function timerLateness(spanMs: number, delayMs = 2): Promise<number> {
  const late: number[] = [];
  const until = performance.now() + spanMs;
  while (performance.now() < until) {
    const due = performance.now() + delayMs;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    late.push(performance.now() - due);
  }
  return ninetieth(late);
}

/** What nine in ten of them are no more than. */
export function ninetieth(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.9)] ?? Infinity;
}
