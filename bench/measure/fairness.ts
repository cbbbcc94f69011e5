// Small calls, one after the other, beside whatever else the connection carries.
//
// Modes: "idle" (nothing else), "large" (a message of 100 MiB under way in each direction all the
// time), "stuck" (streams whose readers take nothing, as many as the limits allow).

import { defaultLimits } from "../../src/call/limits.ts";
import { smallKey } from "../peer/store.ts";
import type { Subject } from "../peer/subject.ts";
import { keepInFlight } from "./callers.ts";
import { nowNs } from "./clock.ts";
import { Latencies } from "./latencies.ts";
import type { Job, Sample } from "./sample.ts";

const largeBytes = 100 * 1024 * 1024;

export async function fairness(subject: Subject, job: Job): Promise<Sample> {
  await keepInFlight(() => subject.get(smallKey), 1, job.warmUpSeconds);
  const load = await startLoad(subject, job.mode);
  const latencies = new Latencies();
  const start = nowNs();
  const end = start + job.seconds * 1e9;
  for (let last = start; last < end;) {
    await subject.get(smallKey);
    const now = nowNs();
    latencies.record(now - last);
    last = now;
  }
  const seconds = (nowNs() - start) / 1e9;
  const metrics = load.metrics(seconds);
  await load.stop();
  return {
    transport: subject.transport,
    latencies: latencies.encoded(),
    metrics: { calls_per_s: latencies.count / seconds, ...metrics },
  };
}

interface Load {
  metrics(seconds: number): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

async function startLoad(subject: Subject, mode: string): Promise<Load> {
  if (mode === "large") return await largeMessages(subject);
  if (mode === "stuck") return await stuckStreams(subject);
  return { metrics: () => ({}), stop: async () => {} };
}

/** One upload after the other, and beside it one download after the other. */
async function largeMessages(subject: Subject): Promise<Load> {
  const message = new Uint8Array(largeBytes);
  await subject.put("large", message);
  await subject.get("large");
  let isOver = false;
  let byteCount = 0;
  const repeat = async (transfer: () => Promise<unknown>): Promise<void> => {
    while (!isOver) {
      await transfer();
      byteCount += largeBytes;
    }
  };
  const running = [
    repeat(() => subject.put("large up", message)),
    repeat(() => subject.get("large")),
  ];
  return {
    metrics: (seconds) => ({ bytes_per_s: byteCount / seconds }),
    async stop() {
      isOver = true;
      await Promise.all(running);
    },
  };
}

/** Streams of which one element is taken, so that they have begun, and then nothing. */
async function stuckStreams(subject: Subject): Promise<Load> {
  const { stream } = subject;
  if (stream === undefined) throw new Error("has no streams");
  const streamCount = defaultLimits.maxInFlightStreams;
  const iterators: AsyncIterator<unknown>[] = [];
  for (let i = 0; i < streamCount; i++) {
    const iterator = stream.produce(1_000_000, 4096)[Symbol.asyncIterator]();
    iterators.push(iterator);
  }
  await Promise.all(iterators.map((iterator) => iterator.next()));
  await Bun.sleep(500); // until every window is full
  return {
    metrics: () => ({ streams: streamCount }),
    async stop() {
      await Promise.all(iterators.map((iterator) => iterator.return?.()));
    },
  };
}
