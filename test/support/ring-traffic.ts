// Random traffic over one end of a ring, the same on both sides, and what has come of it.

import { once } from "node:events";

import type { Receiver, Transport } from "../../src/transport/transport.ts";
import { ringBytes } from "../../src/transport/ring-memory.ts";
import { bellCount } from "./bells.ts";
import { type Random, seeded } from "./random.ts";

export interface TrafficReport {
  readonly recordCount: number;
  readonly byteCount: number;
  readonly bellCount: number;
}

// A record: the length of its payload, a checksum of that, and the payload. The last has none.
const headBytes = 8;
const maxPayloadBytes = 3 * 1024 * 1024;

const noise = new Uint8Array(maxPayloadBytes + 65_536);
{
  const random = seeded(7);
  for (let i = 0; i < noise.byteLength; i++) noise[i] = random(256);
}

/** Sends for so long, and receives until the other side has ended; every record is checked. */
export async function exchange(
  transport: Transport,
  spanMs: number,
  seed: number,
): Promise<TrafficReport> {
  const inbox = new Inbox(seeded(seed + 1_000));
  transport.start(inbox);
  await Promise.all([inbox.isOver, sendAll(transport, inbox, spanMs, seeded(seed))]);
  const { recordCount, byteCount } = inbox;
  return { recordCount, byteCount, bellCount: bellCount() };
}

async function sendAll(
  transport: Transport,
  inbox: Inbox,
  spanMs: number,
  random: Random,
): Promise<void> {
  const until = performance.now() + spanMs;
  while (performance.now() < until) {
    // A burst of small ones, or one of any size; now and then without looking for room.
    const isBurst = random(3) > 0;
    const isRude = random(8) === 0;
    for (let i = 0; i < (isBurst ? 1 + random(50) : 1); i++) {
      if (transport.isCongested && !isRude) {
        transport.flush();
        await inbox.room(transport);
      }
      send(transport, isBurst ? 1 + random(300) : sizeOf(random), random);
      if (random(4) > 0) transport.flush();
    }
    transport.flush();
    await pause(random);
  }
  send(transport, 0, random);
  transport.flush();
}

/**
 * One byte to and fro for so long: nothing follows that would wake whoever was forgotten. The pauses
 * are such that a byte often comes just as its reader goes to sleep.
 */
export async function pingPong(
  transport: Transport,
  isHost: boolean,
  spanMs: number,
  seed: number,
): Promise<TrafficReport> {
  const random = seeded(seed);
  const over = Promise.withResolvers<void>();
  const until = performance.now() + spanMs;
  let count = 0;
  const answer = (value: number): void => {
    const at = transport.reserve(1);
    transport.buffer[at] = value;
    transport.commit(at + 1);
    transport.flush();
  };
  transport.isAwaited = isHost;
  transport.start({
    receive(chunk, from, to) {
      count += to - from;
      if (chunk[from] === 0) {
        if (!isHost) answer(0);
        over.resolve();
        return;
      }
      const maxUs = [2, 10, 60, 170][random(4)] as number;
      const next = (): void => {
        holdOn(random(maxUs));
        answer(isHost && performance.now() >= until ? 0 : 1);
      };
      if (random(2) === 0) next();
      else setImmediate(next);
    },
    writable() {},
    ended: (cause) => over.reject(cause ?? new Error("the other side has gone")),
  });
  if (isHost) answer(1);
  await over.promise;
  return { recordCount: count, byteCount: count, bellCount: bellCount() };
}

// From one byte to three rings, small ones more often.
function sizeOf(random: Random): number {
  const max = [100, 5_000, 100_000, ringBytes + 10, maxPayloadBytes][random(5)] as number;
  return 1 + random(max);
}

function send(transport: Transport, byteCount: number, random: Random): void {
  const from = random(65_536);
  const payload = noise.subarray(from, from + byteCount);
  const at = transport.reserve(headBytes + byteCount);
  transport.view.setUint32(at, byteCount, true);
  transport.view.setUint32(at + 4, Bun.hash.crc32(payload), true);
  transport.buffer.set(payload, at + headBytes);
  transport.commit(at + headBytes + byteCount);
}

async function pause(random: Random): Promise<void> {
  const way = random(10);
  if (way < 4) return;
  if (way < 6) return new Promise((resolve) => setImmediate(resolve));
  // Around the time that polling goes on, so that it ends just when something comes.
  if (way < 8) return holdOn(random(150));
  await Bun.sleep(random(4));
}

function holdOn(spanUs: number): void {
  const until = Bun.nanoseconds() + spanUs * 1_000;
  while (Bun.nanoseconds() < until);
}

class Inbox implements Receiver {
  recordCount = 0;
  byteCount = 0;
  readonly isOver: Promise<void>;
  readonly #random: Random;
  readonly #over = Promise.withResolvers<void>();
  readonly #events = new EventTarget();
  readonly #head = new Uint8Array(headBytes);
  #headBytes = 0;
  #payload = new Uint8Array(0);
  #payloadBytes = 0;

  constructor(random: Random) {
    this.#random = random;
    this.isOver = this.#over.promise;
  }

  async room(transport: Transport): Promise<void> {
    while (transport.isCongested) await once(this.#events as never, "writable");
  }

  writable(): void {
    this.#events.dispatchEvent(new Event("writable"));
  }

  ended(cause?: Error): void {
    this.#over.reject(cause ?? new Error("the other side has gone before it had ended"));
  }

  receive(chunk: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to;) {
      if (this.#headBytes < headBytes) at = this.#takeHead(chunk, at, to);
      else at = this.#takePayload(chunk, at, to);
    }
    if (this.#random(20) === 0) holdOn(this.#random(200));
  }

  #takeHead(chunk: Uint8Array, at: number, to: number): number {
    const part = chunk.subarray(at, Math.min(to, at + headBytes - this.#headBytes));
    this.#head.set(part, this.#headBytes);
    this.#headBytes += part.byteLength;
    if (this.#headBytes === headBytes) {
      const byteCount = this.#headAt(0);
      if (byteCount > maxPayloadBytes) this.#fail(`a record says that it has ${byteCount} bytes`);
      this.#payload = new Uint8Array(byteCount);
      this.#payloadBytes = 0;
      if (byteCount === 0) this.#over.resolve();
    }
    return at + part.byteLength;
  }

  #takePayload(chunk: Uint8Array, at: number, to: number): number {
    const missing = this.#payload.byteLength - this.#payloadBytes;
    if (missing === 0) return this.#fail("something came behind the last record");
    const part = chunk.subarray(at, Math.min(to, at + missing));
    this.#payload.set(part, this.#payloadBytes);
    this.#payloadBytes += part.byteLength;
    if (part.byteLength === missing) this.#check();
    return at + part.byteLength;
  }

  #check(): void {
    if (Bun.hash.crc32(this.#payload) !== this.#headAt(4)) {
      this.#fail(`record ${this.recordCount} of ${this.#payload.byteLength} bytes has changed`);
    }
    this.recordCount += 1;
    this.byteCount += this.#payload.byteLength;
    this.#headBytes = 0;
  }

  #headAt(at: number): number {
    return new DataView(this.#head.buffer).getUint32(at, true);
  }

  #fail(message: string): never {
    const error = new Error(message);
    this.#over.reject(error);
    throw error;
  }
}
