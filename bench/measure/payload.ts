// Payloads of a size, one call after the other: up (Put), down (Get), both ways (Echo).

import type { Subject } from "../peer/subject.ts";
import { keepInFlight, measureLoad } from "./callers.ts";
import type { Job, Sample } from "./sample.ts";

const key = "payload";

export async function payload(subject: Subject, job: Job): Promise<Sample> {
  const call = await callOf(subject, job);
  const { latencies, metrics } = await measureLoad(
    (seconds, onTimed) => keepInFlight(call, 1, seconds, onTimed),
    job,
    subject.pid,
  );
  const bytes_per_s = (metrics.calls_per_s ?? 0) * job.payloadBytes;
  return { transport: subject.transport, latencies, metrics: { ...metrics, bytes_per_s } };
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
