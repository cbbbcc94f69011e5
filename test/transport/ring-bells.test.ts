// When a ring rings: with both ends in one process, so that both are awake at the same time.

import { afterEach, expect, test } from "bun:test";
import { availableParallelism } from "node:os";

import { ringMemoryBytes } from "../../src/transport/ring-memory.ts";
import { RingTransport } from "../../src/transport/ring-transport.ts";
import { bellCount } from "../support/bells.ts";
import { ByteLog, send } from "../support/byte-log.ts";
import { patternBytes } from "../support/random.ts";
import { socketPair } from "../support/socket-pair.ts";

const open: RingTransport[] = [];
afterEach(() => {
  for (const transport of open.splice(0)) transport.close();
});

function ends(): readonly [RingTransport, RingTransport] {
  const memory = new Uint8Array(ringMemoryBytes);
  const [left, right] = socketPair();
  const host = new RingTransport({ memory, side: "host", socketFd: left });
  const plugin = new RingTransport({ memory, side: "plugin", socketFd: right });
  open.push(host, plugin);
  return [host, plugin];
}

/** Sends a byte to and fro, so many times; returns how often a doorbell rang for it. */
async function toAndFro(count: number): Promise<number> {
  const [host, plugin] = ends();
  const before = bellCount();
  let left = count;
  const over = Promise.withResolvers<void>();
  plugin.start({ receive: () => send(plugin, Uint8Array.of(1)), writable() {}, ended() {} });
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

test.skipIf(availableParallelism() < 2)("nobody rings for who is looking", async () => {
  // The process may lose its core now and then, and who looks, its patience.
  expect(await toAndFro(1_000)).toBeLessThan(200);
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
