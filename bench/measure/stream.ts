// Streams: `produce` (the plugin sends), `consume` (the host sends), `exchange` (both). One stream
// after the other, each of as many elements as fit into a tenth of the span.

import { elements } from "../peer/store.ts";
import type { StreamSubject, Subject } from "../peer/subject.ts";
import { nowNs } from "./clock.ts";
import type { Job, Sample } from "./sample.ts";
import { watchCpu } from "./usage.ts";

const firstCount = 16;
const partsOfSpan = 10;

export async function stream(subject: Subject, job: Job): Promise<Sample> {
  if (subject.stream === undefined) throw new Error("has no streams");
  const run = runOf(subject.stream, job);
  const count = await warmUp(run, job);
  const cpu = watchCpu(subject.pid);
  const start = nowNs();
  let total = 0;
  let seconds = 0;
  while (seconds < job.seconds) {
    await run(count);
    total += count;
    seconds = (nowNs() - start) / 1e9;
  }
  return {
    transport: subject.transport,
    metrics: {
      messages_per_s: total / seconds,
      bytes_per_s: (total * job.payloadBytes) / seconds,
      ...cpu(total),
    },
  };
}

/** Streams more and more elements, until it is known how many fill a part of the span. */
async function warmUp(
  run: (count: number) => Promise<void>,
  { seconds, warmUpSeconds }: Job,
): Promise<number> {
  const end = nowNs() + warmUpSeconds * 1e9;
  for (let count = firstCount; ;) {
    const start = nowNs();
    await run(count);
    const now = nowNs();
    if (now - start < (seconds / partsOfSpan) * 1e9) count *= 2;
    else if (now >= end) return count;
  }
}

function runOf(subject: StreamSubject, { kind, payloadBytes }: Job) {
  return async (count: number): Promise<void> => {
    const got = await passed(subject, kind, count, payloadBytes);
    if (got !== count) throw new Error(`${count} elements went out, and ${got} arrived`);
  };
}

async function passed(
  subject: StreamSubject,
  kind: Job["kind"],
  count: number,
  byteCount: number,
): Promise<number> {
  if (kind === "consume") return await subject.consume(elements(count, byteCount));
  const source =
    kind === "produce"
      ? subject.produce(count, byteCount)
      : subject.exchange(elements(count, byteCount));
  let got = 0;
  for await (const { data } of source) {
    if (data.byteLength !== byteCount) throw new Error(`got ${data.byteLength} bytes`);
    got += 1;
  }
  return got;
}
