// Waits with an end: a promise that never settles is a failed test, and not a hanging one.

/** Awaits a promise that must settle within `spanMs`; fails the test if it does not. */
export async function within<T>(spanMs: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not settled within ${spanMs} ms`)), spanMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Awaits a promise, and returns how long that took, in milliseconds. */
export async function spanOf(promise: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await promise;
  return performance.now() - startedAt;
}
