// What every transport promises, over all of them.

import { afterEach, describe, expect, test } from "bun:test";
import { closeSync } from "node:fs";

import { libc } from "../../src/process/libc.ts";
import { createSharedMemory, mapMemory } from "../../src/process/shared-memory.ts";
import { descriptorSource } from "../../src/transport/byte-source.ts";
import { memoryTransports } from "../../src/transport/memory-transport.ts";
import { ringMemoryBytes } from "../../src/transport/ring-memory.ts";
import { RingTransport } from "../../src/transport/ring-transport.ts";
import { socketTransport } from "../../src/transport/socket-transport.ts";
import { StdioTransport } from "../../src/transport/stdio-transport.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { ByteLog, send } from "../support/byte-log.ts";
import { joined } from "../support/cuts.ts";
import { eventually, openDescriptors } from "../support/processes.ts";
import { patternBytes, seeded } from "../support/random.ts";
import { socketPair } from "../support/socket-pair.ts";

type Ends = readonly [Transport, Transport];

const c = libc() as NonNullable<ReturnType<typeof libc>>;

function stdioEnds(isNonBlocking: boolean): Ends {
  const [there, back] = [c.pipe(), c.pipe()];
  const end = (readFd: number, writeFd: number): Transport => {
    if (isNonBlocking) c.setNonBlocking(readFd, "read");
    return new StdioTransport(descriptorSource({ fd: readFd }), {
      fd: writeFd,
      isNonBlocking: isNonBlocking && c.setNonBlocking(writeFd, "write"),
    });
  };
  return [end(back.readFd, there.writeFd), end(there.readFd, back.writeFd)];
}

function ringEnds(hostMemory: Uint8Array, pluginMemory: Uint8Array): Ends {
  const [left, right] = socketPair();
  return [
    new RingTransport({ memory: hostMemory, side: "host", socketFd: left }),
    new RingTransport({ memory: pluginMemory, side: "plugin", socketFd: right }),
  ];
}

// Mapped twice, as two processes do it.
function sharedRingEnds(): Ends {
  const shared = createSharedMemory(ringMemoryBytes);
  if (shared === undefined) throw new Error("no shared memory");
  const again = mapMemory(shared.fd);
  closeSync(shared.fd);
  return ringEnds(shared.bytes, again);
}

const makers: Record<string, () => Ends> = {
  memory: memoryTransports,
  socket: () => {
    const [left, right] = socketPair();
    return [socketTransport(left), socketTransport(right)];
  },
  ring: () => {
    const memory = new Uint8Array(ringMemoryBytes);
    return ringEnds(memory, memory);
  },
  "ring in shared memory": sharedRingEnds,
  "stdio on FIFOs": () => stdioEnds(true),
  "stdio on FIFOs that block": () => stdioEnds(false),
};

const open: Transport[] = [];
afterEach(() => {
  for (const transport of open.splice(0)) transport.close();
});

describe.each(Object.keys(makers))("a transport: %s", (name) => {
  function connected(): readonly [Transport, ByteLog, Transport, ByteLog] {
    const [left, right] = (makers[name] as () => Ends)();
    open.push(left, right);
    const [leftLog, rightLog] = [new ByteLog(), new ByteLog()];
    left.start(leftLog);
    right.start(rightLog);
    return [left, leftLog, right, rightLog];
  }

  test("brings bytes over in order, both ways", async () => {
    const [left, leftLog, right, rightLog] = connected();

    for (let i = 0; i < 100; i++) {
      send(left, patternBytes(i, i));
      send(right, patternBytes(i, i + 1));
    }
    await Promise.all([leftLog.received(4_950), rightLog.received(4_950)]);

    const sent = (seed: number): Uint8Array =>
      joined(...Array.from({ length: 100 }, (_, i) => patternBytes(i, i + seed)));
    expect(rightLog.bytes).toEqual(sent(0));
    expect(leftLog.bytes).toEqual(sent(1));
  });

  test("brings 8 MiB over, in one piece and in many, both ways at once", async () => {
    const [left, leftLog, right, rightLog] = connected();
    const whole = patternBytes(4 * 1024 * 1024, 1);
    const random = seeded(51);
    const pieces: Uint8Array[] = [];
    for (let byteCount = 0; byteCount < whole.byteLength;) {
      const piece = patternBytes(1 + random(200_000), pieces.length);
      pieces.push(piece);
      byteCount += piece.byteLength;
    }
    const many = joined(...pieces);

    send(left, whole);
    for (const piece of pieces) send(right, piece);
    for (const piece of pieces) send(left, piece);
    send(right, whole);
    await Promise.all([
      rightLog.received(whole.byteLength + many.byteLength),
      leftLog.received(whole.byteLength + many.byteLength),
    ]);

    expect(Buffer.compare(rightLog.bytes, joined(whole, many))).toBe(0);
    expect(Buffer.compare(leftLog.bytes, joined(many, whole))).toBe(0);
  }, 30_000);

  test("hands what was committed over in one write, and counts it", async () => {
    const [left, , , rightLog] = connected();
    for (let i = 0; i < 10; i++) {
      const at = left.reserve(10);
      left.buffer.fill(i, at, at + 10);
      left.commit(at + 10);
    }

    left.flush();
    left.flush();
    await rightLog.received(100);

    expect(left.sent).toEqual({ writeCount: 1, byteCount: 100 });
  });

  test("goes on with another receiver, and loses nothing in between", async () => {
    const [left, , right, rightLog] = connected();
    send(left, patternBytes(100, 1));
    await rightLog.received(100);
    const next = new ByteLog();

    right.start(next);
    send(left, patternBytes(100, 2));
    await next.received(100);

    expect([rightLog.bytes, next.bytes]).toEqual([patternBytes(100, 1), patternBytes(100, 2)]);
  });

  test("keeps what comes before somebody has started it", async () => {
    const [left, right] = (makers[name] as () => Ends)();
    open.push(left, right);
    left.start(new ByteLog());
    send(left, patternBytes(1_000));
    // Time for it to come in; a transport that keeps nothing would lose it here.
    await Bun.sleep(5);
    const log = new ByteLog();

    right.start(log);
    await log.received(1_000);

    expect(log.bytes).toEqual(patternBytes(1_000));
  });

  test("says when the other side has gone, once, after what that had sent", async () => {
    const [left, , , rightLog] = connected();
    send(left, patternBytes(1_000));

    left.close();
    await rightLog.hasEnded();
    await Bun.sleep(1);

    expect(rightLog.bytes).toEqual(patternBytes(1_000));
    expect([rightLog.endCount, rightLog.lateCount]).toEqual([1, 0]);
  });

  test("says that the other side has gone also to who starts it after that", async () => {
    const [left, right] = (makers[name] as () => Ends)();
    open.push(left, right);
    const sent = patternBytes(1_000);
    left.start(new ByteLog());
    send(left, sent);
    left.close();
    await Bun.sleep(5);
    const log = new ByteLog();

    right.start(log);
    await log.hasEnded();

    expect(log.bytes).toEqual(sent);
    expect([log.endCount, log.lateCount]).toEqual([1, 0]);
  });

  test("says nothing of its own end to who closes it, and may be closed twice", async () => {
    const [left, leftLog, , rightLog] = connected();

    left.close();
    left.close();
    await rightLog.hasEnded();
    await Bun.sleep(1);

    expect(leftLog.endCount).toBe(0);
  });

  test("takes what is written after the other side has gone, and does not throw", async () => {
    const [left, leftLog, right] = connected();
    right.close();
    await leftLog.hasEnded();

    for (let i = 0; i < 20; i++) send(left, patternBytes(100_000));

    expect(leftLog.endCount).toBe(1);
  });

  test("takes what is written after it was closed, and does not throw", async () => {
    const [left] = connected();
    left.close();

    send(left, patternBytes(100));

    expect(left.reserve(10)).toBeGreaterThanOrEqual(0);
  });

  test.skipIf(process.platform !== "linux")("leaves no descriptor behind", async () => {
    const before = openDescriptors();

    for (let i = 0; i < 10; i++) {
      const [left, , right, rightLog] = connected();
      send(left, patternBytes(10));
      await rightLog.received(10);
      left.close();
      right.close();
    }

    await eventually("the descriptors are closed", () => openDescriptors().size <= before.size);
    expect(openDescriptors().size).toBeLessThanOrEqual(before.size);
  });
});

// A transport that writes what blocks cannot be congested: the write waits.
describe.each(["memory", "socket", "ring", "ring in shared memory", "stdio on FIFOs"])(
  "a transport whose peer is slow: %s",
  (name) => {
    test("is congested when more than 64 KiB wait, and says when they do not any more", async () => {
      const [left, right] = (makers[name] as () => Ends)();
      open.push(left, right);
      const [leftLog, rightLog] = [new ByteLog(), new ByteLog()];
      left.start(leftLog);
      const isCongestedAtFirst = left.isCongested;
      let byteCount = 0;
      for (; !left.isCongested && byteCount < 64 * 1024 * 1024; byteCount += 10_000) {
        send(left, patternBytes(10_000, byteCount));
      }
      const isCongestedThen = left.isCongested;

      right.start(rightLog);
      await leftLog.wasWritable();
      const isCongestedAtLast = left.isCongested;
      await rightLog.received(byteCount);

      expect([isCongestedAtFirst, isCongestedThen, isCongestedAtLast]).toEqual([
        false,
        true,
        false,
      ]);
      expect(byteCount).toBeGreaterThan(64 * 1024);
      // The kernel has room of its own, and a sink that was given a batch takes all of it.
      expect(byteCount).toBeLessThan(4 * 1024 * 1024);
      expect(leftLog.writableCount).toBe(1);
      expect(rightLog.byteCount).toBe(byteCount);
    });
  },
);

test("a socket transport of a descriptor that is not open ends with the cause", async () => {
  const log = new ByteLog();

  const transport = socketTransport(9_999);
  transport.start(log);
  await log.hasEnded();
  transport.close();

  expect(log.endCount).toBe(1);
  expect(log.cause).toBeInstanceOf(Error);
});
