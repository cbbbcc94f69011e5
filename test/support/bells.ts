// How often this process has rung a doorbell.

import { DoorbellSocket } from "../../src/transport/doorbell.ts";

let count = 0;
const { ring } = DoorbellSocket.prototype;
DoorbellSocket.prototype.ring = function (): void {
  count += 1;
  ring.call(this);
};

/** Since this module was imported. */
export function bellCount(): number {
  return count;
}
