// Get of 16 bytes, with so many calls in flight.
//
// Modes, for bun-plug alone: "timeout" and "signal" give each call one, "later" is answered by an
// async handler, "callback" by one that makes a call of the same kind to the host.

import { laterKey, smallKey } from "../peer/store.ts";
import type { Subject } from "../peer/subject.ts";
import { keepInFlight, warmUpSeconds } from "./callers.ts";
import { Latencies } from "./latencies.ts";
import type { Job, Sample } from "./sample.ts";
import { watchCpu } from "./usage.ts";

const smallBytes = 16;

export async function unary(subject: Subject, job: Job): Promise<Sample> {
  const get = wayOf(subject, job.mode);
  const call = async (): Promise<void> => {
    const { byteLength } = await get();
    if (byteLength !== smallBytes) throw new Error(`got ${byteLength} bytes`);
  };
  await keepInFlight(call, job.inFlight, warmUpSeconds(job.seconds));
  const latencies = new Latencies();
  const cpu = watchCpu(subject.pid);
  const { callCount, seconds } = await keepInFlight(call, job.inFlight, job.seconds, (from, to) =>
    latencies.record(to - from),
  );
  return {
    transport: subject.transport,
    latencies: latencies.encoded(),
    metrics: { calls_per_s: callCount / seconds, ...cpu(callCount) },
  };
}

function wayOf(subject: Subject, mode: string): () => Promise<Uint8Array> {
  if (mode === "") return () => subject.get(smallKey);
  if (mode === "later") return () => subject.get(laterKey);
  const { own } = subject;
  if (own === undefined) throw new Error(`knows no calls with a ${mode}`);
  if (mode === "timeout") return () => own.getWith(smallKey, { timeoutMs: 60_000 });
  if (mode === "callback") return () => own.callBack();
  const { signal } = new AbortController();
  return () => own.getWith(smallKey, { signal });
}
