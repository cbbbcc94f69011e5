// Random traffic between two processes. More of it: bun test/soak/ring.ts

import { expect, test } from "bun:test";

import { ringSoak } from "../soak/ring.ts";

test.each([
  { seed: 51, poll: [true, true] },
  { seed: 52, poll: [false, true] },
  { seed: 53, poll: [false, false] },
] as const)(
  "records of 1 byte to three rings cross both ways while both sides sleep now and then: seed $seed, poll $poll",
  async (options) => {
    const { host, plugin } = await ringSoak({ spanMs: 500, ...options });

    for (const { recordCount, byteCount, bellCount } of [host, plugin]) {
      expect(recordCount).toBeGreaterThan(100);
      expect(byteCount).toBeGreaterThan(4 * 1024 * 1024);
      // Both have slept, and been woken.
      expect(bellCount).toBeGreaterThan(0);
    }
  },
  30_000,
);

test.each([
  { seed: 54, poll: [true, true] },
  { seed: 55, poll: [false, false] },
] as const)(
  "a byte that goes to and fro always finds its reader, awake or asleep: seed $seed, poll $poll",
  async (options) => {
    const { host, plugin } = await ringSoak({ spanMs: 700, traffic: "ping-pong", ...options });

    expect(host.recordCount).toBeGreaterThan(100);
    expect(plugin.recordCount).toBe(host.recordCount);
    expect(host.bellCount + plugin.bellCount).toBeGreaterThan(0);
  },
  30_000,
);
