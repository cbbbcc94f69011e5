import { describe, expect, test } from "bun:test";

import fc from "fast-check";
import { LineReader } from "../../src/process/line-reader.ts";
import { byteByByte, cutsInTwo, randomCuts } from "../support/cuts.ts";
import { seeded } from "../support/random.ts";

const maxLineBytes = 16 * 1024;

function read(...chunks: readonly Uint8Array[]): string[] {
  const lines: string[] = [];
  const reader = new LineReader((line) => lines.push(line));
  for (const chunk of chunks) {
    const borrowed = chunk.slice();
    reader.push(borrowed);
    borrowed.fill(0x2a);
  }
  reader.end();
  return lines;
}

/** A line that a failing test can print. */
function shortly(line: string): string {
  return `${line.slice(0, 20)}… ${line.length} ${Bun.hash(line)}`;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("LineReader", () => {
  test("gives lines without their ends, LF and CRLF alike, and empty ones too", () => {
    expect(read(utf8("one\ntwo\r\n\n\r\nfive\n"))).toEqual(["one", "two", "", "", "five"]);
  });

  test("gives a last line that has no end, and none where there is nothing", () => {
    expect(read(utf8("one\ntwo"))).toEqual(["one", "two"]);
    expect(read(utf8("one\n"))).toEqual(["one"]);
    expect(read()).toEqual([]);
    expect(read(new Uint8Array(0))).toEqual([]);
  });

  test("gives the same lines at every way of cutting them, byte by byte too", () => {
    const text = utf8("one\r\ntwo – zwei – 二 – 🙂\n\nfour\r\r\nfive\rfive\nno end");
    const lines = ["one", "two – zwei – 二 – 🙂", "", "four\r", "five\rfive", "no end"];

    for (const chunks of [...cutsInTwo(text), byteByByte(text)]) {
      expect(read(...chunks)).toEqual(lines);
    }
  });

  test("leaves a CR alone that is not at the end of a line", () => {
    expect(read(utf8("10 %\r20 %\r30 %\n"))).toEqual(["10 %\r20 %\r30 %"]);
  });

  test("gives a line of less than 16 KiB in one piece", () => {
    const line = "x".repeat(maxLineBytes - 1);

    expect(read(utf8(`${line}\n`))).toEqual([line]);
    expect(read(...byteByByte(utf8(`${line}\n`)))).toEqual([line]);
  });

  test("gives a line of more than 16 KiB in pieces of at most 16 KiB, wherever it is cut", () => {
    const line = "0123456789".repeat(5_000);
    const text = utf8(`first\n${line}\nlast\n`);
    const random = seeded(40);
    const cuts = [
      [text],
      byteByByte(text),
      randomCuts(text, random, 5_000),
      randomCuts(text, random, 40_000),
    ];

    for (const chunks of cuts) {
      const lines = read(...chunks);

      const lengths = lines.map(({ length }) => length);
      expect(lengths).toEqual([5, 16_384, 16_384, 16_384, 848, 4]);
      expect(lines.slice(1, -1).join("") === line).toBe(true);
    }
  });

  test("gives the pieces of a line without an end as they come, and holds none of them", () => {
    const lines: string[] = [];
    const reader = new LineReader((line) => lines.push(line));

    for (let i = 0; i < 64; i++) reader.push(utf8("x".repeat(1_000)));

    expect(lines.map(({ length }) => length)).toEqual([16_384, 16_384, 16_384]);
  });

  test("gives a line of exactly 16 KiB without an empty one behind it", () => {
    const line = "x".repeat(maxLineBytes);
    const text = utf8(`${line}\nnext\n`);

    for (const chunks of [[text], byteByByte(text), [utf8(line), utf8("\nnext\n")]]) {
      expect(read(...chunks).map(({ length }) => length)).toEqual([maxLineBytes, 4]);
    }
  });

  test("gives the same lines however the stream is cut", () => {
    const piece = fc.constantFrom("\n", "\r\n", "\r", "a", "zwölf", "🙂", "9,000 x");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.integer(), (pieces, seed) => {
        const text = utf8(pieces.join("").replaceAll("9,000 x", "x".repeat(9_000)));

        const [cut, whole] = [read(...randomCuts(text, seeded(seed), 6_000)), read(text)];
        expect(cut.map(shortly)).toEqual(whole.map(shortly));
      }),
      { numRuns: 1_000, seed: 41 },
    );
  });

  test("gives what is not UTF-8 with replacement characters, and does not throw", () => {
    expect(read(Uint8Array.of(0x61, 0xff, 0xfe, 0x62, 0x0a))).toEqual(["a\ufffd\ufffdb"]);
  });
});
