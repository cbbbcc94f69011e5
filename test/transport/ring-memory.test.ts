// The two ends of a ring, on memory of this process.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import {
  ringBytes,
  ringEnds,
  ringMemoryBytes,
  type RingReader,
  type RingWriter,
} from "../../src/transport/ring-memory.ts";
import { patternBytes } from "../support/random.ts";

// As the head of src/transport/ring-memory.ts has it: what the other process sees.
const dataAt = 4096;
const words = { written: 0, read: 16, readerSleeps: 32, writerWaits: 48, busy: 49 };
const wordsPerRing = 64;

interface Ring {
  readonly memory: Uint8Array;
  readonly writer: RingWriter;
  readonly reader: RingReader;
  /** The control words of this ring, for a test that plays the other side. */
  readonly control: Int32Array;
}

// All tests use the same memory: it is large, and each cleans the control of what was before.
const memory = new Uint8Array(ringMemoryBytes);

/** A ring on which so many bytes have come and gone. */
function ring({ passed = 0, from = "host" as "host" | "plugin" } = {}): Ring {
  memory.fill(0, 0, dataAt);
  const { writer } = ringEnds(memory, from);
  const { reader } = ringEnds(memory, from === "host" ? "plugin" : "host");
  const index = from === "host" ? 0 : 1;
  const control = new Int32Array(memory.buffer, index * wordsPerRing * 4, wordsPerRing);
  const one = { memory, writer, reader, control };
  pass(one, passed);
  return one;
}

// Nothing is written: only the counts go on.
function pass({ writer, reader }: Ring, byteCount: number): void {
  for (let rest = byteCount; rest > 0;) {
    const part = Math.min(rest, reader.bytesToEnd);
    const at = writer.place(part);
    writer.written(at + part);
    writer.publish();
    reader.advance(part);
    rest -= part;
  }
}

/** What can be read, in one or two pieces. */
function readAll({ memory, reader }: Ring): Uint8Array {
  const parts: Uint8Array[] = [];
  for (;;) {
    const byteCount = Math.min(reader.byteCount, reader.bytesToEnd);
    if (byteCount === 0) return Buffer.concat(parts);
    parts.push(memory.slice(reader.at, reader.at + byteCount));
    reader.advance(byteCount);
  }
}

function write({ memory, writer }: Ring, bytes: Uint8Array): boolean {
  const at = writer.place(bytes.byteLength);
  if (at < 0) return false;
  memory.set(bytes, at);
  writer.written(at + bytes.byteLength);
  return true;
}

// A little before the end of the counts, which is also the end of the ring's memory.
const nearWrap = 2 ** 32 - 100;

describe.each(["host", "plugin"] as const)("the ring that the %s writes", (from) => {
  test("brings over what was written and published, and nothing before it is", () => {
    const one = ring({ from });
    expect(write(one, patternBytes(100))).toBe(true);
    expect(one.reader.byteCount).toBe(0);

    expect(one.writer.publish()).toBe(100);
    expect(one.writer.publish()).toBe(0);

    expect(one.reader.byteCount).toBe(100);
    expect(readAll(one)).toEqual(Buffer.from(patternBytes(100)));
  });

  test("has its bytes in its own half of the memory", () => {
    const one = ring({ from });
    const start = dataAt + (from === "host" ? 0 : ringBytes);
    expect(one.writer.place(1)).toBe(start);
    expect(one.reader.at).toBe(start);
    pass(one, ringBytes - 1);
    expect(one.writer.place(1)).toBe(start + ringBytes - 1);
    pass(one, 1);
    expect([one.writer.place(ringBytes), one.reader.at]).toEqual([start, start]);
  });
});

test("a copy has what was written, whatever its length and wherever in the ring it lies", () => {
  const chunk = new Uint8Array(256);
  const words = new Int32Array(chunk.buffer);
  const wrong: string[] = [];
  for (let byteCount = 1; byteCount <= 150; byteCount++) {
    for (const passed of [0, 1, 2, 3, ringBytes - byteCount]) {
      for (const from of ["host", "plugin"] as const) {
        const one = ring({ passed, from });
        const bytes = patternBytes(byteCount, byteCount);
        write(one, bytes);
        one.writer.publish();
        const at = one.reader.copy(byteCount, chunk, words);
        const isRight = Bun.deepEquals(chunk.slice(at, at + byteCount), bytes);
        if (!isRight) wrong.push(`${byteCount} bytes at ${passed} from the ${from}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("what one side writes is not what it reads", () => {
  const one = ring();
  write(one, patternBytes(10));
  one.writer.publish();
  expect(ringEnds(memory, "host").reader.byteCount).toBe(0);
  expect(ringEnds(memory, "plugin").reader.byteCount).toBe(10);
});

describe("a place", () => {
  test("is in one piece, so there is none across the end of the ring", () => {
    const one = ring({ passed: ringBytes - 10 });
    expect(one.writer.place(10)).toBe(dataAt + ringBytes - 10);
    expect(one.writer.place(11)).toBe(-1);
  });

  test("is had up to the last free byte, and not beyond", () => {
    const one = ring();
    write(one, patternBytes(1_000));
    expect(one.writer.place(ringBytes - 1_000)).toBe(dataAt + 1_000);
    expect(one.writer.place(ringBytes - 999)).toBe(-1);
    one.writer.written(dataAt + ringBytes);
    expect([one.writer.unreadBytes, one.writer.place(1)]).toEqual([ringBytes, -1]);
  });

  test("comes free when the reader gives it back", () => {
    const one = ring();
    expect(write(one, new Uint8Array(ringBytes))).toBe(true);
    one.writer.publish();
    expect(one.writer.place(1)).toBe(-1);
    one.reader.advance(1);
    expect(one.writer.place(1)).toBe(dataAt);
    expect(one.writer.place(2)).toBe(-1);
  });

  test("of which only a part was written goes on behind that part", () => {
    const one = ring();
    const at = one.writer.place(100);
    one.writer.written(at + 7);
    expect(one.writer.place(1)).toBe(at + 7);
    expect(one.writer.publish()).toBe(7);
  });
});

describe("a copy", () => {
  test("goes around the end of the ring", () => {
    const one = ring({ passed: ringBytes - 10 });
    const bytes = patternBytes(100);
    expect(one.writer.copy(bytes, 0, 100)).toBe(100);
    one.writer.publish();
    expect(one.reader.bytesToEnd).toBe(10);
    expect(readAll(one)).toEqual(Buffer.from(bytes));
  });

  test("takes as much as there is room for, and goes on where it left off", () => {
    const one = ring({ passed: 12_345 });
    const bytes = patternBytes(ringBytes + 1_000, 3);
    expect(one.writer.copy(bytes, 0, bytes.byteLength)).toBe(ringBytes);
    expect(one.writer.copy(bytes, ringBytes, bytes.byteLength)).toBe(0);
    one.writer.publish();
    one.reader.advance(300);
    expect(one.writer.copy(bytes, ringBytes, bytes.byteLength)).toBe(300);
    one.writer.publish();
    expect(Buffer.compare(readAll(one), bytes.subarray(300, ringBytes + 300))).toBe(0);
  });

  test("takes nothing outside of the range that it was given", () => {
    const one = ring();
    expect(one.writer.copy(patternBytes(100), 20, 50)).toBe(30);
    one.writer.publish();
    expect(readAll(one)).toEqual(Buffer.from(patternBytes(100).subarray(20, 50)));
  });
});

describe("counts", () => {
  test("go on at 2^32 as if nothing were", () => {
    const one = ring({ passed: nearWrap });
    expect([one.control[words.written], one.control[words.read]]).toEqual([-100, -100]);
    const bytes = patternBytes(1_000, 5);
    expect(one.writer.place(101)).toBe(-1);
    expect(one.writer.copy(bytes, 0, 1_000)).toBe(1_000);
    expect(one.writer.unreadBytes).toBe(1_000);
    expect(one.writer.publish()).toBe(1_000);
    expect(one.reader.byteCount).toBe(1_000);
    expect(readAll(one)).toEqual(Buffer.from(bytes));
    expect([one.control[words.written], one.control[words.read]]).toEqual([900, 900]);
    one.writer.look();
    expect(one.writer.unreadBytes).toBe(0);
  });

  test("that wrap are full and empty like others", () => {
    const one = ring({ passed: nearWrap });
    const bytes = patternBytes(ringBytes, 6);
    expect(one.writer.copy(bytes, 0, ringBytes)).toBe(ringBytes);
    one.writer.publish();
    expect([one.writer.unreadBytes, one.reader.byteCount]).toEqual([ringBytes, ringBytes]);
    expect(one.writer.waitUntilRead(ringBytes - 1)).toBe(true);
    expect(Buffer.compare(readAll(one), bytes)).toBe(0);
    expect([one.reader.byteCount, one.reader.sleep()]).toEqual([0, true]);
  });
});

// Repeats every 64 KiB, so that the number of a byte says what it must be.
const period = 65_536;
const source = patternBytes(2 * ringBytes + period);

test("any run of writes, copies and reads brings over what a queue would, from any place on", () => {
  const size = (max: number) => fc.integer({ min: 1, max });
  const step = fc.oneof(
    fc.record({ act: fc.constant("place"), size: size(5_000) }),
    fc.record({ act: fc.constant("copy"), size: size(2 * ringBytes) }),
    fc.record({ act: fc.constant("read"), size: size(ringBytes) }),
    fc.record({ act: fc.constant("publish"), size: fc.constant(0) }),
  );
  const start = fc.constantFrom(0, 1, ringBytes - 7, ringBytes * 4_095 + 17, nearWrap);
  fc.assert(
    fc.property(start, fc.array(step, { maxLength: 30 }), (passed, steps) => {
      const one = ring({ passed });
      let [written, published, read] = [0, 0, 0];
      const next = (byteCount: number) =>
        source.subarray(written % period, (written % period) + byteCount);
      for (const { act, size } of steps) {
        const room = ringBytes - (written - read);
        if (act === "place") {
          const fits = size <= Math.min(room, ringBytes - ((passed + written) % ringBytes));
          expect(write(one, next(size))).toBe(fits);
          if (fits) written += size;
        } else if (act === "copy") {
          const byteCount = Math.min(size, room);
          expect(one.writer.copy(next(size), 0, size)).toBe(byteCount);
          written += byteCount;
        } else if (act === "publish") {
          expect(one.writer.publish()).toBe(written - published);
          published = written;
        } else {
          const { at, byteCount, bytesToEnd } = one.reader;
          expect(byteCount).toBe(published - read);
          const part = Math.min(size, byteCount, bytesToEnd);
          for (let done = 0; done < part; done += period) {
            const came = memory.subarray(at + done, at + Math.min(part, done + period));
            const begin = (read + done) % period;
            const sent = source.subarray(begin, begin + came.byteLength);
            expect(Buffer.compare(came, sent)).toBe(0);
          }
          one.reader.advance(part);
          read += part;
        }
      }
    }),
    { numRuns: 200 },
  );
});

describe("a reader that goes to sleep", () => {
  test("is told to the writer once", () => {
    const one = ring();
    expect(one.writer.takeSleep()).toBe(false);
    expect(one.reader.sleep()).toBe(true);
    write(one, patternBytes(1));
    one.writer.publish();
    expect([one.writer.takeSleep(), one.writer.takeSleep()]).toEqual([true, false]);
  });

  test("does not, if something has come meanwhile", () => {
    const one = ring();
    write(one, patternBytes(1));
    one.writer.publish();
    expect(one.reader.sleep()).toBe(false);
    expect(one.writer.takeSleep()).toBe(false);
  });

  test("and wakes by itself needs no doorbell any more", () => {
    const one = ring();
    one.reader.sleep();
    one.reader.wake();
    expect(one.writer.takeSleep()).toBe(false);
  });
});

test("how many are busy is told to the reader, and may be any number", () => {
  const one = ring();
  expect(one.reader.busyCount).toBe(0);
  one.writer.tellBusy(7);
  expect(one.reader.busyCount).toBe(7);
  one.control[words.busy] = -1;
  expect(one.reader.busyCount).toBe(-1);
});

describe("a writer that waits until something is read", () => {
  test("is told to the reader once", () => {
    const one = ring();
    write(one, new Uint8Array(1_000));
    one.writer.publish();
    expect(one.reader.takeWait()).toBe(false);
    expect(one.writer.waitUntilRead(999)).toBe(true);
    one.reader.advance(1);
    expect([one.reader.takeWait(), one.reader.takeWait()]).toEqual([true, false]);
  });

  test("does not, if no more is unread than it wants", () => {
    const one = ring();
    write(one, new Uint8Array(1_000));
    one.writer.publish();
    one.reader.advance(1);
    expect(one.writer.waitUntilRead(999)).toBe(false);
    expect(one.reader.takeWait()).toBe(false);
  });
});

describe("a count that cannot be", () => {
  const garbage = [1, 4_097, ringBytes + 1, 2 ** 31, 2 ** 32 - 1, 0xdead_beef];

  test("of bytes written is an error that says both numbers", () => {
    for (const passed of [0, 5_000, nearWrap]) {
      const one = ring({ passed });
      for (const extra of garbage.filter((count) => count > ringBytes)) {
        const written = (passed + extra) % 2 ** 32;
        one.control[words.written] = written | 0;
        const message = `the other side has written up to ${written} of a ring of which ${passed} are read`;
        expect(() => one.reader.byteCount).toThrow(new Error(message));
        expect(() => one.reader.sleep()).toThrow(new Error(message));
      }
      // It was the other side's word alone: what this one knows has not changed.
      one.control[words.written] = passed | 0;
      expect(one.reader.byteCount).toBe(0);
    }
  });

  test("of bytes read is an error that says both numbers", () => {
    for (const passed of [0, 5_000, nearWrap]) {
      const one = ring({ passed });
      write(one, patternBytes(50));
      one.writer.publish();
      const written = passed + 50;
      const unread = one.writer.unreadBytes;
      // Ahead of what is written, or further behind than a ring is long.
      for (const extra of garbage.filter((count) => count < 2 ** 32 - ringBytes)) {
        const read = (written + extra) % 2 ** 32;
        one.control[words.read] = read | 0;
        const error = new Error(
          `the other side has read up to ${read} of a ring of which ${written} are written`,
        );
        expect(() => one.writer.look()).toThrow(error);
        expect(() => one.writer.copy(patternBytes(10), 0, 10)).toThrow(error);
        expect(() => one.writer.waitUntilRead(0)).toThrow(error);
      }
      expect(one.writer.unreadBytes).toBe(unread);
    }
  });

  test("of any value gives an error, or a range that lies within the ring", () => {
    const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const position = fc.constantFrom(0, 1, 77_777, ringBytes - 1, nearWrap);
    fc.assert(
      fc.property(position, word, word, fc.nat(3 * ringBytes), (passed, written, read, size) => {
        const one = ring({ passed });
        one.control[words.written] = written | 0;
        one.control[words.read] = read | 0;
        const ranges: (readonly [number, number])[] = [];
        const attempt = (range: () => readonly [number, number]): void => {
          try {
            ranges.push(range());
          } catch (error) {
            const { message } = error as Error;
            expect(message).toMatch(
              /^the other side has (read|written) up to \d+ of a ring of which \d+ are (written|read)$/,
            );
          }
        };
        attempt(() => {
          const { at, byteCount, bytesToEnd } = one.reader;
          return [at, at + Math.min(byteCount, bytesToEnd)];
        });
        attempt(() => {
          const at = one.writer.place(size);
          return at < 0 ? [dataAt, dataAt] : [at, at + size];
        });
        for (const [from, to] of ranges) {
          expect(from).toBeGreaterThanOrEqual(dataAt);
          expect(to).toBeLessThanOrEqual(dataAt + ringBytes);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("which goes on changing is checked each time", () => {
    const one = ring();
    write(one, patternBytes(100));
    one.writer.publish();
    expect(one.reader.byteCount).toBe(100);
    one.control[words.written] = 50;
    // Fewer than before: it is not asked how many there were, only whether they can be.
    expect(one.reader.byteCount).toBe(50);
    one.reader.advance(50);
    one.control[words.written] = 49;
    expect(() => one.reader.byteCount).toThrow("written up to 49 of a ring of which 50 are read");
  });
});
