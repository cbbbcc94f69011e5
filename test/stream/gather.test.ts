import { describe, expect, test } from "bun:test";

import { gather, gatherBytes, leaveOut } from "../../src/stream/gather.ts";
import type { PayloadWriter } from "../../src/stream/payload.ts";
import { joined } from "../support/cuts.ts";
import { patternBytes } from "../support/random.ts";

// As generated code does it: what is long is left out if it can be.
const writer: PayloadWriter<readonly Uint8Array[]> = {
  size: (parts) => parts.reduce((sum, { byteLength }) => sum + byteLength, 0),
  write(parts, buffer, at) {
    for (const part of parts) {
      if (part.byteLength >= gatherBytes && leaveOut(part, at)) continue;
      buffer.set(part, at);
      at += part.byteLength;
    }
    return at;
  },
};

describe("gather", () => {
  const short = patternBytes(100, 1);
  const long = patternBytes(gatherBytes, 2);
  const longer = patternBytes(gatherBytes + 1, 3);
  const cases: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ["nothing", []],
    ["short bytes alone", [short, short]],
    ["long bytes alone", [long]],
    ["long bytes between short ones", [short, long, short]],
    ["long bytes behind each other", [short, long, longer]],
    ["long bytes first and last", [longer, short, long]],
  ];

  test.each(cases)("gives %s whole and in order", (_, parts) => {
    const segments = gather(writer, parts, writer.size(parts));

    expect(joined(...segments)).toEqual(joined(...parts));
  });

  test("leaves long bytes where they are, and copies the others", () => {
    const [before, middle, after] = gather(writer, [short, long, short], 2 * 100 + gatherBytes);

    expect(middle).toBe(long);
    expect([before?.buffer === short.buffer, after?.buffer === short.buffer]).toEqual([
      false,
      false,
    ]);
  });

  test("keeps no memory for what is left out", () => {
    const [before] = gather(writer, [short, long], 100 + gatherBytes) as [Uint8Array];

    expect(before.buffer.byteLength).toBe(100);
  });

  test("gives memory that the next message does not use", () => {
    const other = patternBytes(100, 4);
    const large = patternBytes(gatherBytes - 1, 5);
    const sizes = [100 + gatherBytes, 2 * gatherBytes - 2];
    const few = [gather(writer, [short, long], sizes[0] as number)];
    const many = [gather(writer, [large, large], sizes[1] as number)];
    few.push(gather(writer, [other, long], sizes[0] as number));
    many.push(gather(writer, [large, large.toReversed()], sizes[1] as number));

    expect(few.map(([first]) => first)).toEqual([short, other]);
    expect(
      many.map((segments) => Buffer.compare(joined(...segments), joined(large, large))),
    ).toEqual([0, Buffer.compare(joined(large, large.toReversed()), joined(large, large))]);
  });

  test("is over when the writer throws: what is written next is whole again", () => {
    const failing: PayloadWriter<undefined> = {
      size: () => 1,
      write() {
        throw new Error("no");
      },
    };

    expect(() => gather(failing, undefined, 1)).toThrow("no");
    expect(leaveOut(long, 0)).toBe(false);
  });
});
