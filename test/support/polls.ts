// How long this process has looked at its rings without finding anything.

import { RingTransport } from "../../src/transport/ring-transport.ts";

// Looks that are further apart than this are not of one turn: something else went on in between.
const maxGapNs = 10_000;

let vainCount = 0;
let spanNs = 0;
let lastAt = 0;
const { poll } = RingTransport.prototype;
RingTransport.prototype.poll = function (): boolean {
  const isFound = poll.call(this);
  const now = Bun.nanoseconds();
  if (!isFound) {
    vainCount += 1;
    if (now - lastAt < maxGapNs) spanNs += now - lastAt;
  }
  lastAt = now;
  return isFound;
};

/** Since this module was imported. */
export function polls(): { readonly vainCount: number; readonly spanMs: number } {
  return { vainCount, spanMs: spanNs / 1e6 };
}
