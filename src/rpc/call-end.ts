// When a call that is more than one attempt is over, whatever its interceptors are doing.

import { timeoutFault } from "../call/place-call.ts";
import { isPlugError, PlugError } from "../error/plug-error.ts";
import type { CallOptions } from "./call-options.ts";

/** What of the caller's options goes on to an attempt. */
export type AttemptOptions = Pick<CallOptions, "signal" | "timeoutMs" | "context">;

/**
 * Does the work, and rejects when the call is given up or out of time before it is done. `timeLeft`
 * gives the options of an attempt: all of them together have the time of one call.
 */
export function unlessOver<T>(
  name: string,
  options: CallOptions,
  work: (timeLeft: () => AttemptOptions) => Promise<T>,
): Promise<T> {
  const { context } = options;
  // A context as options tells by itself when it ends.
  const isContext = (context as unknown) === options;
  const { signal, timeoutMs } = isContext ? {} : (options as AttemptOptions);
  const hasEnd = signal !== undefined || timeoutMs !== undefined || context !== undefined;
  // What is wrong with them is said by the first attempt, as it is without interceptors.
  const isRight =
    timeoutFault(timeoutMs) === undefined &&
    (signal === undefined || signal instanceof AbortSignal);
  if (!hasEnd || !isRight) return work(() => ({ signal, context, timeoutMs }));
  const startedAt = performance.now();
  const left = (): number | undefined =>
    timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - (performance.now() - startedAt));
  const done = work(() => ({ signal, context, timeoutMs: left() }));
  return new Promise<T>((resolve, reject) => {
    const signals = [signal, context?.signal].filter((one) => one !== undefined);
    const onAbort = ({ target }: { readonly target: unknown }): void =>
      stop(cancelled((target as AbortSignal).reason));
    const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
    for (const one of signals) one.addEventListener("abort", onAbort);
    const aborted = signals.find((one) => one.aborted);
    if (aborted !== undefined) stop(cancelled(aborted.reason));
    done.then(
      (value) => {
        cleanUp();
        resolve(value);
      },
      (error) => stop(error),
    );

    function onTimeout(): void {
      const why = `${name} was not answered within timeoutMs ${timeoutMs}`;
      stop(new PlugError("deadline_exceeded", why));
    }
    function stop(error: unknown): void {
      cleanUp();
      reject(error);
    }
    function cleanUp(): void {
      clearTimeout(timer);
      for (const one of signals) one.removeEventListener("abort", onAbort);
    }
  });

  function cancelled(cause: unknown): PlugError {
    if (isPlugError(cause) && cause.code === "deadline_exceeded") return cause;
    return new PlugError("cancelled", `${name} was cancelled by its caller`, { cause });
  }
}
