// Callers who each place their next call when the last one has been answered, for a span of time.

import { nowNs } from "./clock.ts";
import { Latencies } from "./latencies.ts";
import type { Metrics } from "./metrics.ts";
import type { Job } from "./sample.ts";
import { watchCpu } from "./usage.ts";

/** Called back with the moment before and behind a call that is timed, in nanoseconds. */
export type OnTimed = (startNs: number, endNs: number) => void;

// With many callers a look at the clock and a note in the histogram cost as much as a call, so that
// only some of the calls are timed.
const timedEvery = 32;

/**
 * Keeps `callerCount` calls in flight until `seconds` have passed, and returns how many were
 * answered, and in what time. What they were answered with is checked, and must not be wrong.
 */
export async function keepInFlight<T>(
  call: () => Promise<T>,
  callerCount: number,
  seconds: number,
  onTimed: OnTimed = () => {},
  check: (result: T) => void = () => {},
): Promise<{ readonly callCount: number; readonly seconds: number }> {
  const start = nowNs();
  const end = start + seconds * 1e9;
  const callCount =
    callerCount === 1
      ? await oneAfterTheOther(call, check, start, end, onTimed)
      : await manyAtOnce(call, check, callerCount, end, onTimed);
  return { callCount, seconds: (nowNs() - start) / 1e9 };
}

/** Times each call, and nothing of what it takes to note that. */
async function oneAfterTheOther<T>(
  call: () => Promise<T>,
  check: (result: T) => void,
  start: number,
  end: number,
  onTimed: OnTimed,
): Promise<number> {
  let callCount = 0;
  for (let from = start; from < end; callCount++) {
    const result = await call();
    const to = nowNs();
    check(result);
    onTimed(from, to);
    from = nowNs();
  }
  return callCount;
}

async function manyAtOnce<T>(
  call: () => Promise<T>,
  check: (result: T) => void,
  callerCount: number,
  end: number,
  onTimed: OnTimed,
): Promise<number> {
  let callCount = 0;
  let isOver = false;
  const caller = async (): Promise<void> => {
    while (!isOver) {
      callCount += 1;
      if (callCount % timedEvery !== 0) {
        check(await call());
        continue;
      }
      const startNs = nowNs();
      const result = await call();
      const endNs = nowNs();
      check(result);
      onTimed(startNs, endNs);
      isOver ||= endNs >= end;
    }
  };
  await Promise.all(Array.from({ length: callerCount }, caller));
  return callCount;
}

/** A load that lasts so many seconds. */
type Load = (
  seconds: number,
  onTimed: OnTimed,
) => Promise<{ readonly callCount: number; readonly seconds: number }>;

/**
 * Measures a load once it is warm. The warm-up records its latencies too, and throws them away: so
 * the recording is compiled as well when it counts.
 */
export async function measureLoad(
  load: Load,
  { seconds, warmUpSeconds }: Job,
  pid: number | undefined,
): Promise<{ readonly callCount: number; readonly latencies: string; readonly metrics: Metrics }> {
  const latencies = new Latencies();
  const onTimed: OnTimed = (from, to) => latencies.record(to - from);
  if (warmUpSeconds > 0) await load(warmUpSeconds, onTimed);
  latencies.clear();
  const cpu = watchCpu(pid);
  const done = await load(seconds, onTimed);
  return {
    callCount: done.callCount,
    latencies: latencies.encoded(),
    metrics: { calls_per_s: done.callCount / done.seconds, ...cpu(done.callCount) },
  };
}
