// Processes as such: how long they take to start, and what they cost while nothing happens.

import { heldKey, smallKey } from "../peer/store.ts";
import type { HostModule } from "../peer/subject.ts";
import { nowNs } from "./clock.ts";
import { Latencies } from "./latencies.ts";
import type { Metrics } from "./metrics.ts";
import type { Job, Sample } from "./sample.ts";
import { cpuNs, proportionalBytes, residentBytes, untilQuiet, watchMemory } from "./usage.ts";

/** From the start of the load to the first answer; as often as the span allows, at least once. */
export async function start(host: HostModule, job: Job): Promise<Sample> {
  const latencies = new Latencies();
  let transport = "";
  const end = nowNs() + job.seconds * 1e9;
  do {
    const from = nowNs();
    const subject = await host.open(job.command, job.variant);
    await subject.get(smallKey);
    latencies.record(nowNs() - from);
    transport = subject.transport;
    await subject[Symbol.asyncDispose]();
  } while (job.mode !== "once" && nowNs() < end);
  return { transport, latencies: latencies.encoded(), metrics: {} };
}

/** As many plugins as `inFlight` says, each called once, and then left alone. */
export async function idle(host: HostModule, job: Job): Promise<Sample> {
  const subjects = await Promise.all(
    Array.from({ length: job.inFlight }, () => host.open(job.command, job.variant)),
  );
  for (const subject of subjects) await subject.get(smallKey);
  const pids = subjects.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  // What the loads have left to do is no cost of being idle.
  await untilQuiet([process.pid, ...pids]);
  const pluginsBefore = pids.map(cpuNs);
  // The host's last and first, so that it is not charged for looking at so many others.
  const hostBefore = cpuNs(process.pid) ?? NaN;
  await Bun.sleep(job.seconds * 1000);
  const hostNs = (cpuNs(process.pid) ?? NaN) - hostBefore;
  const pluginNs = pids.map((pid, i) => (cpuNs(pid) ?? NaN) - (pluginsBefore[i] ?? NaN));
  const metrics = {
    plugins: subjects.length,
    host_cpu_share: hostNs / (job.seconds * 1e9),
    plugin_cpu_share: mean(pluginNs) / (job.seconds * 1e9),
    host_rss_bytes: residentBytes(process.pid) ?? NaN,
    plugin_rss_bytes: mean(pids.map((pid) => residentBytes(pid) ?? NaN)),
    plugin_pss_bytes: mean(pids.map((pid) => proportionalBytes(pid) ?? NaN)),
  };
  await Promise.all(subjects.map((subject) => subject[Symbol.asyncDispose]()));
  return { transport: subjects[0]?.transport ?? "", metrics: withoutNaN(metrics) };
}

/** What so many calls cost in memory that the plugin does not answer. */
export async function held(host: HostModule, job: Job): Promise<Sample> {
  await using subject = await host.open(job.command, job.variant);
  if (subject.pid === undefined) throw new Error("has no process of its own");
  // So that code is there before memory is looked at.
  await holdCalls(10);
  Bun.gc(true);
  const memory = watchMemory(subject.pid);
  await holdCalls(job.inFlight);
  return { transport: subject.transport, metrics: memory() };

  async function holdCalls(count: number): Promise<void> {
    const calls = Array.from({ length: count }, () => subject.get(heldKey));
    // Answered behind all of them, since they go in order.
    await subject.get(smallKey);
    await Bun.sleep(100);
    await subject.put(heldKey, new Uint8Array(1));
    await Promise.all(calls);
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function withoutNaN(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => !Number.isNaN(value)));
}
