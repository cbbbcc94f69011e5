// Waiting with a bound, and without leaving a timer behind.

/** Resolves when the promise has settled, or after the span: with whether it was in time. */
export async function within(promise: Promise<unknown>, spanMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, spanMs, false);
  const isInTime = await Promise.race([promise.then(yes, yes), late]);
  clearTimeout(timer);
  return isInTime;
}

function yes(): boolean {
  return true;
}
