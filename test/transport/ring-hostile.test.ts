// The other side of a ring, that does what no ring of ours does.

import { afterEach, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { closeSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";

import { isPlugError, PlugError } from "bun-plug";

import { defaultLimits } from "../../src/call/limits.ts";
import { Connection } from "../../src/connection/connection.ts";
import { createSharedMemory } from "../../src/process/shared-memory.ts";
import { ringBytes, ringMemoryBytes } from "../../src/transport/ring-memory.ts";
import { RingTransport } from "../../src/transport/ring-transport.ts";
import type { Receiver } from "../../src/transport/transport.ts";
import { ByteLog, send } from "../support/byte-log.ts";
import { call } from "../support/connections.ts";
import { frame, request, response } from "../support/frames.ts";
import { HostileRing } from "../support/hostile-ring.ts";
import { bytes, echo } from "../support/payloads.ts";
import { fixture } from "../support/plugins.ts";
import { eventually } from "../support/processes.ts";
import { patternBytes, seeded } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";
import { socketPair } from "../support/socket-pair.ts";
import { within } from "../support/within.ts";

const settlesWithinMs = 2_000;
const clean: (() => void)[] = [];
afterEach(() => {
  for (const step of clean.splice(0)) step();
});

/** Our side, and what the other side has in its hands. */
function victim(memory: Uint8Array = new Uint8Array(ringMemoryBytes)) {
  const [socketFd, bellFd] = socketPair();
  const transport = new RingTransport({ memory, side: "host", socketFd });
  const peer = new HostileRing(memory, "plugin");
  let isOpen = true;
  const leave = (): void => {
    if (isOpen) closeSync(bellFd);
    isOpen = false;
  };
  clean.push(() => transport.close(), leave);
  return {
    memory,
    transport,
    peer,
    ring(count = 1): void {
      try {
        writeSync(bellFd, new Uint8Array(count));
      } catch {
        // Nobody is there any more to hear it.
      }
    },
    leave,
  };
}

function connected(one: ReturnType<typeof victim>): Connection {
  const connection = new Connection({
    transport: one.transport,
    limits: { ...defaultLimits, maxMessageBytes: 1024 * 1024 },
    peerLimits: defaultLimits,
    handler: echo,
    events: {
      onEnded: (cause) =>
        connection.close(
          new PlugError("unavailable", cause?.message ?? "the other side has gone", { cause }),
        ),
    },
  });
  connection.start();
  return connection;
}

/** So many turns of the event loop have I/O and timers in them. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Bun.sleep(1);
}

describe("a count that cannot be", () => {
  test("of what it has written ends the transport with both numbers, once and for good", async () => {
    const { transport, peer, ring } = victim();
    const log = new ByteLog();
    transport.start(log);
    peer.write(patternBytes(100));
    ring();
    await log.received(100);

    peer.written = 0x8000_0000;
    ring();
    await within(settlesWithinMs, log.hasEnded());
    expect(log.cause?.message).toBe(
      "the other side has written up to 2147483648 of a ring of which 100 are read",
    );

    peer.written = 150;
    for (let i = 0; i < 10; i++) ring();
    send(transport, patternBytes(100));
    await turns(5);
    expect([log.endCount, log.lateCount, log.byteCount]).toEqual([1, 0, 100]);
  });

  test("of what it has read ends it too, also where room is looked for in vain", async () => {
    for (const read of [ringBytes, 0x8000_0000, 0xffff_ffff - ringBytes]) {
      const { transport, peer } = victim();
      const log = new ByteLog();
      transport.start(log);
      peer.read = read;

      for (let i = 0; i < 20; i++) send(transport, patternBytes(100_000));
      await within(settlesWithinMs, log.hasEnded());

      expect(log.cause?.message).toMatch(
        new RegExp(`^the other side has read up to ${read} of a ring of which \\d+ are written$`),
      );
      peer.read = 0;
      for (let i = 0; i < 20; i++) send(transport, patternBytes(100_000));
      await turns(2);
      expect([log.endCount, log.writableCount]).toEqual([1, 0]);
    }
  });

  test("rejects the calls in flight", async () => {
    const one = victim();
    const connection = connected(one);
    const outcome = rejection(call(connection, bytes(1)));
    await turns(1);
    one.peer.written = 0xdead_beef;
    one.ring();
    const error = await within(settlesWithinMs, outcome);
    expect(error.message).toContain("written up to 3735928559 of a ring of which 0 are read");
  });
});

describe("what it writes", () => {
  test("is copied before it is looked at, so that it cannot change in between", async () => {
    const { memory, transport, peer, ring } = victim();
    const seen: Uint8Array[] = [];
    transport.start({
      receive(chunk, from, to) {
        expect(chunk.buffer).not.toBe(memory.buffer);
        for (let i = 0; i < 100; i++) peer.poke(i, 0xee);
        seen.push(Uint8Array.from(chunk.subarray(from, to)));
      },
      writable() {},
      ended() {},
    });
    peer.write(patternBytes(100));
    ring();
    await eventually("something has come", () => seen.length > 0);
    expect(seen).toEqual([patternBytes(100)]);
  });

  test("may change without end while it is decoded as text", async () => {
    const shared = createSharedMemory(ringMemoryBytes);
    if (shared === undefined) throw new Error("no shared memory");
    const { transport, peer, ring } = victim(shared.bytes);
    const thread = new Worker(fixture("thrash"), {
      workerData: { fd: shared.fd, from: 4096 + ringBytes, byteCount: ringBytes },
    });
    clean.push(() => void thread.terminate());
    const ready = once(thread, "message");
    await ready;
    closeSync(shared.fd);

    let byteCount = 0;
    let characterCount = 0;
    transport.start({
      receive(chunk, from, to) {
        // In pieces, as texts in messages are.
        for (let at = from; at < to; at += 600) {
          const part = Buffer.from(chunk.buffer, chunk.byteOffset + at, Math.min(600, to - at));
          characterCount += part.toString("utf8").length;
        }
        byteCount += to - from;
      },
      writable() {},
      ended() {},
    });
    const until = performance.now() + 300;
    while (performance.now() < until) {
      peer.written += 300_000;
      ring();
      await eventually("it has been read", () => peer.readByOther === peer.written);
    }
    expect(byteCount).toBe(peer.written);
    expect(characterCount).toBeGreaterThan(byteCount / 4);
  });

  test("may be frames that nobody knows, without end: timers go on", async () => {
    const { transport, peer, ring } = victim();
    const ignorable = frame({ kind: 0x7e, flags: 0x80, payload: new Uint8Array(1_000) });
    let byteCount = 0;
    const greedy: Receiver = {
      // What the other side does meanwhile: for each that is read it has written another.
      receive(_chunk, from, to) {
        byteCount += to - from;
        for (let i = 0; i < to - from; i += ignorable.byteLength) peer.write(ignorable);
      },
      writable() {},
      ended() {},
    };
    transport.start(greedy);
    peer.write(ignorable);
    ring();
    let timerCount = 0;
    const timer = setInterval(() => (timerCount += 1), 1);
    await within(
      settlesWithinMs,
      eventually(
        "timers come while more than a ring is read",
        () => timerCount > 10 && byteCount > ringBytes,
      ),
    );
    clearInterval(timer);
  });

  test("in the middle of a message may be the last of it", async () => {
    const one = victim();
    const connection = connected(one);
    const outcomes = [1, 2].map((i) => rejection(call(connection, bytes(i))));
    await turns(1);
    one.peer.write(response(1, patternBytes(50)).subarray(0, 40));
    one.leave();
    for (const outcome of outcomes) {
      expect((await within(settlesWithinMs, outcome)).code).toBe("unavailable");
    }
  });

  test("before it left still comes", async () => {
    const one = victim();
    const log = new ByteLog();
    one.transport.start(log);
    await turns(1);
    one.peer.write(patternBytes(200_000));
    one.leave();
    await within(settlesWithinMs, log.hasEnded());
    expect(log.bytes).toEqual(patternBytes(200_000));
    expect([log.endCount, log.lateCount]).toEqual([1, 0]);
  });
});

test("doorbells without end do not keep it from anything", async () => {
  const { transport, peer, ring } = victim();
  const log = new ByteLog();
  transport.start(log);
  let timerCount = 0;
  const timer = setInterval(() => (timerCount += 1), 1);
  for (let i = 0; i < 50; i++) {
    ring(50_000);
    await Bun.sleep(1);
  }
  clearInterval(timer);
  expect(timerCount).toBeGreaterThan(10);
  peer.write(patternBytes(1_000));
  ring();
  await within(settlesWithinMs, log.received(1_000));
  expect([log.bytes, log.endCount]).toEqual([patternBytes(1_000), 0]);
});

test("any words and bytes end the connection, or do it no harm: each call settles", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed);
    const one = victim();
    const connection = connected(one);
    const calls = Array.from({ length: 5 }, () => call(connection, patternBytes(random(5_000))));
    const outcomes = Promise.allSettled(calls);
    await turns(1);
    const acts: (() => void)[] = [
      () => (one.peer.written += random(3_000)),
      () => (one.peer.written = random(2 ** 32)),
      () => (one.peer.read += random(3_000)),
      () => (one.peer.read = random(2 ** 32)),
      () => one.peer.write(request(1 + random(9), patternBytes(random(100)))),
      () => one.peer.write(response(1 + random(5), patternBytes(random(100)))),
      () => one.peer.poke(random(5_000), random(256)),
      () => (one.memory[random(512)] = random(256)),
      () => one.ring(1 + random(50)),
    ];
    for (let i = 0; i < 20; i++) {
      (acts[random(acts.length)] as () => void)();
      if (random(4) === 0) await turns(1);
    }
    one.leave();
    for (const settled of await within(settlesWithinMs, outcomes)) {
      if (settled.status === "rejected") expect(isPlugError(settled.reason)).toBe(true);
    }
    expect(connection.closeReason).toBeDefined();
    one.transport.close();
  }
});
