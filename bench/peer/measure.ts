// What a round measures: latency of one call after the other, and calls per second with many in
// flight. The same code for every peer that is called from TypeScript.

/** One round. Latencies in nanoseconds, rates in calls per second. */
export interface Round {
  readonly p50_ns: number;
  readonly p99_ns: number;
  readonly mean_ns: number;
  /** One call after the other. */
  readonly one: number;
  /** With 64 in flight. */
  readonly many: number;
  /** With 1,000 in flight, where the peer can have so many. */
  readonly thousand?: number;
}

const warmUpCalls = 2_000;

export async function measure(get: () => Promise<Uint8Array>, seconds: number): Promise<Round> {
  for (let i = 0; i < warmUpCalls; i++) await checked(get);
  const latencies: number[] = [];
  const start = Bun.nanoseconds();
  const end = start + seconds * 1e9;
  for (let last = start; last < end;) {
    await checked(get);
    const now = Bun.nanoseconds();
    latencies.push(now - last);
    last = now;
  }
  const one = latencies.length / ((Bun.nanoseconds() - start) / 1e9);
  const sum = latencies.reduce((total, ns) => total + ns, 0);
  const sorted = Float64Array.from(latencies).sort();
  return {
    p50_ns: sorted[Math.floor(sorted.length / 2)] as number,
    p99_ns: sorted[Math.floor(sorted.length * 0.99)] as number,
    mean_ns: sum / sorted.length,
    one,
    many: await rate(get, 64, seconds),
    thousand: await rate(get, 1_000, seconds),
  };
}

async function rate(
  get: () => Promise<Uint8Array>,
  inFlight: number,
  seconds: number,
): Promise<number> {
  let callCount = 0;
  let isOver = false;
  const start = Bun.nanoseconds();
  const caller = async (): Promise<void> => {
    while (!isOver) {
      await checked(get);
      callCount += 1;
      // A look at the clock costs as much as a part of a call.
      if ((callCount & 255) === 0) isOver = Bun.nanoseconds() - start > seconds * 1e9;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return callCount / ((Bun.nanoseconds() - start) / 1e9);
}

async function checked(get: () => Promise<Uint8Array>): Promise<void> {
  const { byteLength } = await get();
  if (byteLength !== 16) throw new Error(`got ${byteLength} bytes`);
}
