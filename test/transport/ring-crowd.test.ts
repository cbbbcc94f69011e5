// Rings of processes that are more than there are cores: nobody looks, and batches stay whole.

import { afterEach, expect, test } from "bun:test";
import { availableParallelism } from "node:os";

import { Crowd } from "../../src/transport/crowd.ts";
import { ringEnds, ringMemoryBytes } from "../../src/transport/ring-memory.ts";
import { RingTransport } from "../../src/transport/ring-transport.ts";
import { bellCount } from "../support/bells.ts";
import { send } from "../support/byte-log.ts";
import { socketPair } from "../support/socket-pair.ts";
import { within } from "../support/within.ts";

const exchangesWithinMs = 5_000;
const exchangeCount = 300;
// As src/transport/ring-transport.ts has it.
const publishFrames = 8;

/** More than any machine has cores. */
class LargeCrowd extends Crowd {
  override get busyCount(): number {
    return 100_000;
  }
}

const open: RingTransport[] = [];
afterEach(() => {
  for (const transport of open.splice(0)) transport.close();
});

/** Both ends, and whoever wants to see the memory as the plugin does. */
function ends(crowdOfHost: Crowd) {
  const memory = new Uint8Array(ringMemoryBytes);
  const [left, right] = socketPair();
  const host = new RingTransport({ memory, side: "host", socketFd: left, crowd: crowdOfHost });
  const plugin = new RingTransport({ memory, side: "plugin", socketFd: right, crowd: new Crowd() });
  open.push(host, plugin);
  host.isAwaited = true;
  return { host, plugin, reader: ringEnds(memory, "plugin").reader };
}

/** Sends a byte to and fro. Returns how often, at an answer, each of the two meant to look on. */
async function exchange({ host, plugin }: ReturnType<typeof ends>): Promise<number[]> {
  const looks = [0, 0];
  let left = exchangeCount;
  const over = Promise.withResolvers<void>();
  plugin.start({
    receive: () => send(plugin, Uint8Array.of(1)),
    writable() {},
    ended() {},
  });
  host.start({
    receive() {
      [host, plugin].forEach(({ pollUntilNs }, i) => {
        if (pollUntilNs > 0) looks[i] = (looks[i] as number) + 1;
      });
      left -= 1;
      if (left > 0) queueMicrotask(() => send(host, Uint8Array.of(1)));
      else over.resolve();
    },
    writable() {},
    ended() {},
  });
  send(host, Uint8Array.of(1));
  await within(exchangesWithinMs, over.promise);
  return looks;
}

function write(transport: RingTransport, frameCount: number): void {
  for (let i = 0; i < frameCount; i++) transport.commit(transport.reserve(1) + 1);
}

test.skipIf(availableParallelism() < 2)("two processes look for what the other sends", async () => {
  const [host = 0, plugin = 0] = await exchange(ends(new Crowd()));
  expect(host).toBeGreaterThan(exchangeCount / 2);
  expect(plugin).toBeGreaterThan(exchangeCount / 2);
});

test("in a crowd neither side looks: the one that has it, and the one that is told of it", async () => {
  const [host = 0, plugin = 0] = await exchange(ends(new LargeCrowd()));
  // Neither knows before the first exchange.
  expect(host).toBeLessThanOrEqual(2);
  expect(plugin).toBeLessThanOrEqual(2);
});

test("in a crowd a batch is shown as a whole, with one doorbell", async () => {
  const both = ends(new LargeCrowd());
  await exchange(both);
  // Until both sleep.
  await Bun.sleep(5);
  const { host, reader } = both;
  // It has seen what the plugin has.
  reader.advance(exchangeCount);
  const before = bellCount();
  write(host, 3 * publishFrames);
  expect([reader.byteCount, bellCount() - before]).toEqual([0, 0]);
  host.flush();
  expect([reader.byteCount, bellCount() - before]).toEqual([3 * publishFrames, 1]);
});
