import { describe, expect, test } from "bun:test";

import fc from "fast-check";
import { SendBuffer } from "../../src/transport/send-buffer.ts";
import { joined } from "../support/cuts.ts";
import { patternBytes } from "../support/random.ts";

function put(buffer: SendBuffer, bytes: Uint8Array): void {
  const at = buffer.reserve(bytes.byteLength);
  buffer.buffer.set(bytes, at);
  buffer.commit(at + bytes.byteLength);
}

function waiting(buffer: SendBuffer): Uint8Array {
  return buffer.buffer.slice(buffer.head, buffer.tail);
}

describe("SendBuffer", () => {
  test("holds what a queue of bytes holds, whatever is put in and taken", () => {
    const step = fc.record({ isPut: fc.boolean(), byteCount: fc.integer({ min: 1, max: 90_000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const buffer = new SendBuffer();
        let model = new Uint8Array(0);
        steps.forEach(({ isPut, byteCount }, i) => {
          if (isPut) {
            const bytes = patternBytes(byteCount, i);
            put(buffer, bytes);
            model = joined(model, bytes) as Uint8Array<ArrayBuffer>;
          } else {
            const taken = Math.min(byteCount, model.byteLength);
            buffer.taken(taken);
            model = model.slice(taken);
          }
          expect(buffer.byteCount).toBe(model.byteLength);
          expect(buffer.view.buffer).toBe(buffer.buffer.buffer);
        });
        expect(Buffer.compare(waiting(buffer), model)).toBe(0);
      }),
      { numRuns: 150, seed: 50 },
    );
  });

  test("uses the same memory for ever while what waits is little", () => {
    const buffer = new SendBuffer();
    const memory = buffer.buffer;

    for (let i = 0; i < 10_000; i++) {
      put(buffer, patternBytes(100));
      buffer.taken(i % 3 === 0 ? buffer.byteCount : 50);
      if (i % 3 === 2) buffer.taken(buffer.byteCount);
    }

    expect(buffer.buffer).toBe(memory);
  });

  test("gives the memory of a burst of more than 1 MiB back when it has been sent", () => {
    const buffer = new SendBuffer();
    put(buffer, patternBytes(3 * 1024 * 1024));
    const during = buffer.buffer.byteLength;

    buffer.taken(buffer.byteCount);

    expect(during).toBeGreaterThan(3 * 1024 * 1024);
    expect(buffer.buffer.byteLength).toBe(64 * 1024);
  });

  test("has all of what was committed, and nothing of what was only reserved", () => {
    const buffer = new SendBuffer();
    put(buffer, patternBytes(10));

    buffer.reserve(100);

    expect(waiting(buffer)).toEqual(patternBytes(10));
  });

  // A peer that reads slowly must not make the sender copy the same bytes again and again.
  test("moves each byte a few times at most, however slowly it is emptied", () => {
    const buffer = new SendBuffer();
    put(buffer, patternBytes(60_000));
    let movedCount = 0;
    let { head } = buffer;
    for (let i = 0; i < 10_000; i++) {
      put(buffer, patternBytes(100));
      if (buffer.head < head) movedCount += 1;
      buffer.taken(100);
      ({ head } = buffer);
    }

    // A million bytes went through; each move is of 60,000.
    expect(movedCount).toBeLessThan(50);
  });
});
