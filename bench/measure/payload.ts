// Payloads of a size, one call after the other: up (Put), down (Get), both ways (Echo).

import type { Subject } from "../peer/subject.ts";
import { keepInFlight, warmUpSeconds } from "./callers.ts";
import { Latencies } from "./latencies.ts";
import type { Job, Sample } from "./sample.ts";
import { watchCpu } from "./usage.ts";

const key = "payload";

export async function payload(subject: Subject, job: Job): Promise<Sample> {
  const call = await callOf(subject, job);
  await keepInFlight(call, 1, warmUpSeconds(job.seconds));
  const latencies = new Latencies();
  const cpu = watchCpu(subject.pid);
  const { callCount, seconds } = await keepInFlight(call, 1, job.seconds, (from, to) =>
    latencies.record(to - from),
  );
  return {
    transport: subject.transport,
    latencies: latencies.encoded(),
    metrics: {
      calls_per_s: callCount / seconds,
      bytes_per_s: (callCount * job.payloadBytes) / seconds,
      ...cpu(callCount),
    },
  };
}

async function callOf(subject: Subject, { kind, payloadBytes }: Job): Promise<() => Promise<void>> {
  const value = new Uint8Array(payloadBytes).fill(0x5a);
  const check = (got: Uint8Array): void => {
    // The last byte is looked at, so that nobody gets away with memory that he has not read.
    if (got.byteLength === payloadBytes && got[payloadBytes - 1] === 0x5a) return;
    throw new Error(`${payloadBytes} bytes went out, and ${got.byteLength} came back`);
  };
  await subject.put(key, value);
  check(await subject.get(key));
  if (kind === "up") return async () => void (await subject.put(key, value));
  if (kind === "down") return async () => check(await subject.get(key));
  return async () => check(await subject.echo(value));
}
