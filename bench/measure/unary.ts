// Get of 16 bytes, with so many calls in flight.
//
// Modes, for bun-plug alone: "timeout" and "signal" give each call one, "later" is answered by an
// async handler, "callback" by one that makes a call of the same kind to the host. "blocking" is a
// call that returns its value, as each call in Go does.

import { laterKey, smallKey } from "../peer/store.ts";
import type { Subject } from "../peer/subject.ts";
import { keepInFlight, measureLoad, type OnTimed } from "./callers.ts";
import { nowNs } from "./clock.ts";
import type { Job, Sample } from "./sample.ts";

const smallBytes = 16;

export async function unary(subject: Subject, job: Job): Promise<Sample> {
  const { latencies, metrics } = await measureLoad(
    job.mode === "blocking" ? blockingLoad(subject) : loadOf(subject, job),
    job,
    subject.pid,
  );
  return { transport: subject.transport, latencies, metrics };
}

function loadOf(subject: Subject, { mode, inFlight }: Job) {
  const get = wayOf(subject, mode);
  return (seconds: number, onTimed: OnTimed) =>
    keepInFlight(get, inFlight, seconds, onTimed, check);
}

/** One after the other, and nothing else gets a turn in between. */
function blockingLoad({ own }: Subject) {
  const getSync = own?.getSync;
  if (getSync === undefined) throw new Error("has no blocking calls");
  return async (seconds: number, onTimed: OnTimed) => {
    const start = nowNs();
    const end = start + seconds * 1e9;
    let [callCount, from] = [0, start];
    for (; from < end; callCount++) {
      const result = getSync(smallKey);
      const to = nowNs();
      check(result);
      onTimed(from, to);
      from = nowNs();
    }
    return { callCount, seconds: (from - start) / 1e9 };
  };
}

function check({ byteLength }: Uint8Array): void {
  if (byteLength !== smallBytes) throw new Error(`got ${byteLength} bytes`);
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
