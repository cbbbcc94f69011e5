// When one end of a ring looks for an answer: what it does with looks that were in vain.

import { expect, test } from "bun:test";
import { closeSync } from "node:fs";
import { availableParallelism } from "node:os";

import { Crowd } from "../../src/transport/crowd.ts";
import { ringEnds, ringMemoryBytes } from "../../src/transport/ring-memory.ts";
import { RingTransport } from "../../src/transport/ring-transport.ts";
import { send } from "../support/byte-log.ts";
import { socketPair } from "../support/socket-pair.ts";

test.skipIf(availableParallelism() < 2)(
  "a host whose answers come soon forgets the looks that were in vain before",
  () => {
    const memory = new Uint8Array(ringMemoryBytes);
    const [left, right] = socketPair();
    const host = new RingTransport({ memory, side: "host", socketFd: left, crowd: new Crowd() });
    const plugin = ringEnds(memory, "plugin").writer;
    // As a connection does when its last call has settled.
    const receive = (): void => void (host.isAwaited = false);
    host.start({ receive, writable() {}, ended() {} });
    // One call after the other: each is answered before the host is tired of looking, or after it.
    const looksFor = (isInTime: boolean): boolean => {
      host.isAwaited = true;
      send(host, Uint8Array.of(1));
      const looks = host.pollUntilNs > 0;
      if (!isInTime) host.sleep();
      plugin.written(plugin.place(1) + 1);
      plugin.publish();
      host.poll();
      return looks;
    };
    const countUntilItLooks = (): number => {
      let count = 0;
      while (!looksFor(true) && count < 1_000) count += 1;
      return count;
    };

    for (let i = 0; i < 100; i++) looksFor(false);
    const skippedBefore = countUntilItLooks();
    for (let i = 0; i < 10; i++) looksFor(true);
    looksFor(false);
    const skippedAfter = countUntilItLooks();
    host.close();
    closeSync(right);

    expect(skippedBefore).toBeGreaterThan(10);
    expect(skippedAfter).toBe(1);
  },
);
