// Test support that cannot lie: what was not looked at fails.

import { isPlugError, type PlugError } from "bun-plug";

/** Awaits a promise that must reject with a PlugError; fails the test if it does not. */
export async function rejection(promise: Promise<unknown>): Promise<PlugError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in outcome && isPlugError(outcome.error)) return outcome.error;
  throw new Error(`expected a PlugError, got ${Bun.inspect(outcome)}`);
}

/** Calls a function that must throw a PlugError. */
export function thrown(action: () => unknown): PlugError {
  let value: unknown;
  try {
    value = action();
  } catch (error) {
    if (isPlugError(error)) return error;
    throw error;
  }
  throw new Error(`expected a PlugError, got ${Bun.inspect(value)}`);
}
