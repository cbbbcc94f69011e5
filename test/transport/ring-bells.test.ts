// When a ring rings: with both ends in one process, so that both are awake at the same time.

import { afterEach, expect, test } from "bun:test";
import { availableParallelism } from "node:os";

import { Crowd } from "../../src/transport/crowd.ts";
import { ringEnds, ringMemoryBytes } from "../../src/transport/ring-memory.ts";
import { RingTransport } from "../../src/transport/ring-transport.ts";
import { bellCount } from "../support/bells.ts";
import { ByteLog, send } from "../support/byte-log.ts";
import { patternBytes } from "../support/random.ts";
import { socketPair } from "../support/socket-pair.ts";

const open: RingTransport[] = [];
afterEach(() => {
  for (const transport of open.splice(0)) transport.close();
});

function ends(memory = new Uint8Array(ringMemoryBytes)): readonly [RingTransport, RingTransport] {
  const [left, right] = socketPair();
  // A crowd for each, as in two processes.
  const host = new RingTransport({ memory, side: "host", socketFd: left, crowd: new Crowd() });
  const plugin = new RingTransport({ memory, side: "plugin", socketFd: right, crowd: new Crowd() });
  open.push(host, plugin);
  return [host, plugin];
}

/** Runs `body` after so many microtasks: at once for 0. */
function afterSteps(count: number, body: () => void): void {
  if (count === 0) body();
  else queueMicrotask(() => afterSteps(count - 1, body));
}

/**
 * Sends a byte to and fro, so many times; returns how often a doorbell rang for it. Who answers takes
 * so many microtasks for it.
 */
async function toAndFro(count: number, stepCount: number): Promise<number> {
  const [host, plugin] = ends();
  const before = bellCount();
  let left = count;
  const over = Promise.withResolvers<void>();
  plugin.start({
    receive: () => afterSteps(stepCount, () => send(plugin, Uint8Array.of(1))),
    writable() {},
    ended() {},
  });
  host.start({
    receive() {
      left -= 1;
      // As a caller that awaits its answer: not from within.
      if (left > 0) queueMicrotask(() => send(host, Uint8Array.of(1)));
      else over.resolve();
    },
    writable() {},
    ended() {},
  });
  host.isAwaited = true;
  send(host, Uint8Array.of(1));
  await over.promise;
  return bellCount() - before;
}

test.skipIf(availableParallelism() < 2).each([0, 1, 5])(
  "nobody rings for who is looking, and whoever has answered %d microtasks later looks",
  async (stepCount) => {
    // The process may lose its core now and then, and who looks, its patience.
    expect(await toAndFro(1_000, stepCount)).toBeLessThan(200);
  },
);

test("the first frame of a turn is shown at once, without a doorbell, and others with it", async () => {
  const memory = new Uint8Array(ringMemoryBytes);
  const [host, plugin] = ends(memory);
  const log = new ByteLog();
  plugin.start(log);
  // Until it sleeps.
  await Bun.sleep(5);
  const before = bellCount();
  const { reader } = ringEnds(memory, "plugin");
  for (let turn = 0; turn < 2; turn++) {
    const shown: number[] = [];
    for (let i = 0; i < 3; i++) {
      host.commit(host.reserve(10) + 10);
      shown.push(reader.byteCount);
    }
    expect(shown).toEqual([10, 10, 10]);
    expect(bellCount() - before).toBe(turn);
    host.flush();
    expect(reader.byteCount).toBe(30);
    expect(bellCount() - before).toBe(turn + 1);
    await log.received(30 * (turn + 1));
    reader.advance(30);
    await Bun.sleep(5);
  }
});

test("one doorbell is enough for all that comes while its reader wakes", async () => {
  const [host, plugin] = ends();
  const log = new ByteLog();
  plugin.start(log);
  // Until it sleeps.
  await Bun.sleep(5);
  const before = bellCount();
  for (let i = 0; i < 100; i++) send(host, patternBytes(100, i));
  expect(bellCount() - before).toBe(1);
  await log.received(10_000);
});

test.skipIf(availableParallelism() < 2)(
  "who writes more than fits looks for room, and is rung for only if it has gone to sleep",
  async () => {
    const [host, plugin] = ends();
    const log = new ByteLog();
    plugin.start(log);
    host.start(new ByteLog());
    const before = bellCount();
    send(host, new Uint8Array(64 * 1024 * 1024));
    await log.received(64 * 1024 * 1024);
    // One for the reader that slept at first; it was one for each 64 KiB. The process may lose its
    // core now and then.
    expect(bellCount() - before).toBeLessThan(20);
  },
);
