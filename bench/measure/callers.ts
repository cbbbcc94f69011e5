// Callers who each place their next call when the last one has been answered, for a span of time.

import { nowNs } from "./clock.ts";
import { Latencies } from "./latencies.ts";
import type { Metrics } from "./metrics.ts";
import type { Job } from "./sample.ts";
import { watchCpu } from "./usage.ts";

/** Called back with the moment before and behind a call that is timed, in nanoseconds. */
export type OnTimed = (startNs: number, endNs: number) => void;

// With many callers a look at the clock costs as much as a part of a call, so that only some of
// the calls are timed.
const timedEvery = 8;

/**
 * Keeps `callerCount` calls in flight until `seconds` have passed, and returns how many were
 * answered, and in what time.
 */
export async function keepInFlight(
  call: () => Promise<unknown>,
  callerCount: number,
  seconds: number,
  onTimed: OnTimed = () => {},
): Promise<{ readonly callCount: number; readonly seconds: number }> {
  const start = nowNs();
  const end = start + seconds * 1e9;
  const callCount =
    callerCount === 1
      ? await oneAfterTheOther(call, start, end, onTimed)
      : await manyAtOnce(call, callerCount, end, onTimed);
  return { callCount, seconds: (nowNs() - start) / 1e9 };
}

/** The end of a call is the start of the next, so one look at the clock times each of them. */
async function oneAfterTheOther(
  call: () => Promise<unknown>,
  start: number,
  end: number,
  onTimed: OnTimed,
): Promise<number> {
  let callCount = 0;
  for (let last = start; last < end; callCount++) {
    await call();
    const now = nowNs();
    onTimed(last, now);
    last = now;
  }
  return callCount;
}

async function manyAtOnce(
  call: () => Promise<unknown>,
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
        await call();
        continue;
      }
      const startNs = nowNs();
      await call();
      const endNs = nowNs();
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
