// Long things through a ring, whose other side is the test.

import { afterEach, expect, test } from "bun:test";
import { closeSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";

import { ringMemoryBytes } from "../../src/transport/ring-memory.ts";
import { RingTransport } from "../../src/transport/ring-transport.ts";
import { ByteLog, send } from "../support/byte-log.ts";
import { HostileRing } from "../support/hostile-ring.ts";
import { polls } from "../support/polls.ts";
import { patternBytes } from "../support/random.ts";
import { eventually } from "../support/processes.ts";
import { socketPair } from "../support/socket-pair.ts";

const clean: (() => void)[] = [];
afterEach(() => {
  for (const step of clean.splice(0)) step();
});

function ring() {
  const memory = new Uint8Array(ringMemoryBytes);
  const [socketFd, bellFd] = socketPair();
  const transport = new RingTransport({ memory, side: "host", socketFd });
  clean.push(
    () => transport.close(),
    () => closeSync(bellFd),
  );
  return {
    transport,
    peer: new HostileRing(memory, "plugin"),
    ringBell: () => void writeSync(bellFd, Uint8Array.of(1)),
  };
}

test("what comes next is put where its receiver wants it, and nothing behind that", async () => {
  const { transport, peer, ringBell } = ring();
  const bytes = patternBytes(100_000);
  const wanted = new Uint8Array(80_000);
  let at = -1;
  const behind: number[] = [];
  transport.start({
    receive(chunk, from, to) {
      if (at < 0) {
        at = 0;
        expect(to - from).toBeLessThanOrEqual(10_000);
        return wanted;
      }
      if (at === wanted.byteLength) {
        behind.push(to - from);
        return undefined;
      }
      expect([chunk.buffer, chunk.byteOffset, from]).toEqual([wanted.buffer, at, 0]);
      at += to;
      return wanted.subarray(at);
    },
    writable() {},
    ended() {},
  });
  peer.write(bytes.subarray(0, 10_000));
  ringBell();
  await eventually("the first have come", () => at === 0);
  peer.write(bytes.subarray(10_000));
  ringBell();
  await eventually("all have come", () => behind.reduce((sum, count) => sum + count, 0) === 10_000);
  expect(Buffer.compare(wanted, bytes.subarray(10_000, 90_000))).toBe(0);
});

test.skipIf(availableParallelism() < 2)(
  "who has looked for room in vain lets occasions pass",
  async () => {
    const { transport, peer, ringBell } = ring();
    transport.start(new ByteLog());
    send(transport, new Uint8Array(4 * 1024 * 1024));
    const before = polls().spanMs;
    for (let i = 0; i < 40; i++) {
      peer.read += 64 * 1024;
      ringBell();
      await Bun.sleep(2);
    }
    expect(transport.unsentBytes).toBeLessThan(1024 * 1024);
    // To look each time would be 200 µs 40 times.
    expect(polls().spanMs - before).toBeLessThan(4);
  },
);
