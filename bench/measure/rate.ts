// Calls at a fixed rate.
//
// `rate`: each call has a moment at which it is due, and its latency counts from there, whether it
// could be placed then or not. A peer that stalls is charged for all calls that it made late, and
// not only for the one that it was busy with: no coordinated omission. Between two calls the host
// spins, so that a late timer is not taken for a late answer.
//
// `rare`: the host sleeps between two calls, and so does the plugin; a timer of the event loop
// says when, and the latency counts from the call. What a load leaves behind (code to compile,
// garbage) would be charged to the few calls that are measured. So there is no load: short bursts
// until the code is compiled, then a wait until both processes do nothing any more, and then calls
// at the pace for a while that are not counted.

import { smallKey } from "../peer/store.ts";
import type { Subject } from "../peer/subject.ts";
import { keepInFlight } from "./callers.ts";
import { nowNs } from "./clock.ts";
import { Latencies } from "./latencies.ts";
import type { Job, Sample } from "./sample.ts";
import { untilQuiet, watchCpu } from "./usage.ts";

// More would be a queue that never ends: a call that is due then waits, and its clock runs.
const maxUnanswered = 10_000;

// 3,000 calls in 0.3 s.
const burstCount = 30;
const callsOfBurst = 100;
const burstPauseMs = 5;
const pacedSeconds = 0.5;

export async function rate(subject: Subject, job: Job): Promise<Sample> {
  await keepInFlight(() => subject.get(smallKey), 1, job.warmUpSeconds);
  const latencies = new Latencies();
  const intervalNs = 1e9 / job.perSecond;
  const callCount = Math.round(job.seconds * job.perSecond);
  const finished = Promise.withResolvers<void>();
  let placed = 0;
  let answered = 0;
  const cpu = watchCpu(subject.pid);
  const start = nowNs();
  const place = async (): Promise<void> => {
    const dueNs = start + placed++ * intervalNs;
    await subject.get(smallKey);
    latencies.record(nowNs() - dueNs);
    answered += 1;
    if (answered === callCount) finished.resolve();
  };
  const turn = (): void => {
    const now = nowNs();
    while (
      placed < callCount &&
      placed - answered < maxUnanswered &&
      start + placed * intervalNs <= now
    ) {
      place().catch(finished.reject);
    }
    if (placed < callCount) setImmediate(turn);
  };
  turn();
  await finished.promise;
  const seconds = (nowNs() - start) / 1e9;
  // The host's is that of spinning.
  const { host_cpu_ns: _, ...cpuOfPlugin } = cpu(callCount);
  return {
    transport: subject.transport,
    latencies: latencies.encoded(),
    metrics: { calls_per_s: callCount / seconds, ...cpuOfPlugin },
  };
}

export async function rare(subject: Subject, job: Job): Promise<Sample> {
  for (let burst = 0; burst < burstCount; burst++) {
    for (let i = 0; i < callsOfBurst; i++) await subject.get(smallKey);
    await Bun.sleep(burstPauseMs);
  }
  await untilQuiet([process.pid, ...(subject.pid === undefined ? [] : [subject.pid])]);
  const latencies = new Latencies();
  const pace = async (seconds: number): Promise<void> => {
    const pauseMs = 1_000 / job.perSecond;
    for (const end = nowNs() + seconds * 1e9; nowNs() < end;) {
      await Bun.sleep(pauseMs);
      const from = nowNs();
      await subject.get(smallKey);
      latencies.record(nowNs() - from);
    }
  };
  await pace(pacedSeconds);
  latencies.clear();
  const cpu = watchCpu(subject.pid);
  const start = nowNs();
  await pace(job.seconds);
  const seconds = (nowNs() - start) / 1e9;
  return {
    transport: subject.transport,
    latencies: latencies.encoded(),
    metrics: { calls_per_s: latencies.count / seconds, ...cpu(latencies.count) },
  };
}
