// How rounds become numbers, and numbers become text.

import { describe, expect, test } from "bun:test";

import { newCase } from "../../bench/case/case.ts";
import { compare } from "../../bench/harness/confidence.ts";
import type { Results, Row } from "../../bench/harness/results.ts";
import { median, rowOf } from "../../bench/harness/summary.ts";
import { ratioText, withUnit } from "../../bench/harness/units.ts";
import { keepInFlight } from "../../bench/measure/callers.ts";
import { Latencies } from "../../bench/measure/latencies.ts";
import { rate } from "../../bench/measure/rate.ts";
import type { Job } from "../../bench/measure/sample.ts";
import { peers, reference } from "../../bench/peer/peers.ts";
import type { Subject } from "../../bench/peer/subject.ts";
import { agreement } from "../../bench/report/agreement.ts";
import { markdownTable } from "../../bench/report/markdown.ts";
import { caseOf, ratioOf, ratioSpread } from "../../bench/report/ratio.ts";
import { spreadOut } from "../../bench/report/scale.ts";

describe("Latencies", () => {
  test("tells percentiles to three digits, and keeps them when it is encoded", () => {
    const latencies = new Latencies();
    for (let ns = 1; ns <= 100_000; ns++) latencies.record(ns);
    const copy = new Latencies();
    copy.add(latencies.encoded());

    expect(copy.count).toBe(latencies.count);
    const { p50_ns, p99_ns, max_ns, mean_ns } = copy.metrics();
    expect(Math.abs(p50_ns / 50_000 - 1)).toBeLessThan(0.001);
    expect(Math.abs(p99_ns / 99_000 - 1)).toBeLessThan(0.001);
    expect(Math.abs(max_ns / 100_000 - 1)).toBeLessThan(0.001);
    expect(Math.abs(mean_ns / 50_000 - 1)).toBeLessThan(0.001);
  });

  test("counts anything longer than a minute as a minute", () => {
    const latencies = new Latencies();
    latencies.record(1e15);

    expect(Math.abs(latencies.metrics().max_ns / 60e9 - 1)).toBeLessThan(0.001);
  });
});

describe("a row", () => {
  test("has the medians of its rounds, and the least and the most of them", async () => {
    const [peer] = peers;
    if (peer === undefined) throw new Error("there are no peers");
    const samples = [30, 10, 20].map((calls_per_s) => ({
      transport: "x",
      metrics: { calls_per_s },
    }));
    const one = newCase("some/case", "unary", "calls", "calls_per_s", { inFlight: 7 });

    const row = await rowOf({ case: one, peer, samples, error: undefined });

    expect(row).toMatchObject({ calls_per_s: 20, in_flight: 7, rounds: 3, transport: "x" });
    expect(row.spread).toEqual({ calls_per_s: [10, 30] });
    expect(row.each).toEqual({ calls_per_s: [30, 10, 20] });
    expect(median([1, 2, 3, 10])).toBe(2.5);
  });
});

describe("a ratio", () => {
  const row = (name: string, peer: string, calls_per_s: number): Row => ({
    case: name,
    peer,
    transport: "",
    version: "",
    in_flight: 1,
    payload_bytes: 16,
    rounds: 3,
    calls_per_s,
    spread: { calls_per_s: [calls_per_s / 2, calls_per_s * 2] },
    curve: [],
  });
  const own = row("unary/64", "bun-plug", 300);
  const all = [own, row("unary/64", reference, 40), row("unary/1", reference, 100)];

  test("of calls in flight is that to the Go original's best", () => {
    expect(ratioOf(own, caseOf("unary/64"), all)).toBe(3);
    expect(ratioSpread(own, caseOf("unary/64"), all)).toEqual([0.75, 12]);
  });

  test("is unknown where the Go original has no number", () => {
    expect(ratioOf(own, caseOf("unary/64"), [own])).toBeUndefined();
  });
});

describe("the spread of a ratio", () => {
  const row = (peer: string, each: readonly number[]): Row => ({
    case: "unary/1",
    peer,
    transport: "",
    version: "",
    in_flight: 1,
    payload_bytes: 16,
    rounds: each.length,
    p50_ns: median(each),
    spread: { p50_ns: [Math.min(...each), Math.max(...each)] },
    each: { p50_ns: each },
    curve: [],
  });
  const spreadOf = (own: readonly number[], by: readonly number[]) =>
    ratioSpread(row("a", own), caseOf("unary/1"), [row("a", own), row(reference, by)]);

  test("goes from the least to the most that the rounds give, and 25 % beyond", () => {
    const [least, most] = spreadOf([200, 400, 300], [100, 200]) ?? [];

    expect(least).toBeCloseTo(200 / 200 / 1.25, 10);
    expect(most).toBeCloseTo((400 / 100) * 1.25, 10);
  });

  test("takes the middle half of the Go original's rounds, and all of the peer's", () => {
    const [least, most] = spreadOf([100, 200, 200, 200, 400], [10, 100, 100, 100, 1_000]) ?? [];

    expect(least).toBeCloseTo(1 / 1.25, 10);
    expect(most).toBeCloseTo(4 * 1.25, 10);
  });

  test("is that of the number that the case is about, whatever the base's own case is about", () => {
    const calls = (name: string, peer: string, each: readonly number[]): Row => ({
      ...row(peer, [7, 7, 7]),
      case: name,
      calls_per_s: median(each),
      each: { p50_ns: [7, 7, 7], calls_per_s: each },
    });
    const own = calls("unary/64", "a", [600, 500, 600]);
    const all = [own, calls("unary/1", reference, [100, 100, 100])];

    const [least, most] = ratioSpread(own, caseOf("unary/64"), all) ?? [];

    expect(least).toBeCloseTo(5 / 1.25, 10);
    expect(most).toBeCloseTo(6 * 1.25, 10);
  });
});

describe("two runs", () => {
  const run = (...ratios: readonly (readonly [peer: string, ratio: number])[]): Results => {
    const row = (peer: string, p50_ns: number): Row => ({
      case: "unary/1",
      peer,
      transport: "",
      version: "",
      in_flight: 1,
      payload_bytes: 16,
      rounds: 3,
      p50_ns,
      spread: {},
      each: { p50_ns: [p50_ns, p50_ns, p50_ns] },
      curve: [],
    });
    const rows = [row(reference, 100), ...ratios.map(([peer, ratio]) => row(peer, ratio * 100))];
    return { rows } as unknown as Results;
  };
  const says = (a: Results, b: Results) =>
    agreement(a, b).map(({ cells: [, peer], says }) => [peer, says]);

  test("agree on a ratio that lies within the spread of the other, both ways", () => {
    expect(says(run(["x", 2], ["y", 3]), run(["x", 2.4], ["y", 3.8]))).toEqual([
      ["x", "agree"],
      ["y", "apart"],
    ]);
  });

  test("do not agree on what only one of them has", () => {
    expect(says(run(["x", 2]), run(["y", 2]))).toEqual([
      ["x", "not in B"],
      ["y", "not in A"],
    ]);
  });
});

describe("compare", () => {
  const pairs = (after: number): [number, number][] =>
    Array.from({ length: 10 }, (_, i) => [100 + i, after + i]);

  test("says faster or slower when all rounds agree, and which is the better way", () => {
    expect(compare(pairs(50), "lower").verdict).toBe("faster");
    expect(compare(pairs(50), "higher").verdict).toBe("slower");
    expect(compare(pairs(50), "lower").confidence).toBeCloseTo(1 - 2 / 1024, 10);
  });

  test("says no difference when rounds do not agree", () => {
    const mixed = pairs(110).map(([before, after], i): [number, number] =>
      i % 2 === 0 ? [before, after] : [after, before],
    );

    expect(compare(mixed, "lower").verdict).toBe("no difference");
    expect(compare(pairs(100), "lower")).toEqual({
      ratio: 1,
      verdict: "no difference",
      confidence: 0,
    });
  });
});

describe("a load", () => {
  test("keeps so many calls in flight, and no more", async () => {
    let now = 0;
    let most = 0;
    let count = 0;
    const call = async (): Promise<void> => {
      count += 1;
      most = Math.max(most, ++now);
      await Promise.resolve();
      now -= 1;
    };

    const { callCount } = await keepInFlight(call, 16, 0.02);

    expect(most).toBe(16);
    expect(callCount).toBe(count);
  });

  test("at a fixed rate charges a stall to all calls that were due in it", async () => {
    // Blocks once, for 100 ms, in the middle of 200 calls at 1,000 a second. The warm-up does not
    // let go of the event loop, so the timer below goes off behind it.
    let callCount = 0;
    let isWarm = false;
    const subject = {
      transport: "none",
      pid: undefined,
      async get() {
        if (isWarm && ++callCount === 50) Bun.sleepSync(100);
        return new Uint8Array(16);
      },
    } as unknown as Subject;
    setTimeout(() => (isWarm = true), 0);

    const sample = await rate(subject, {
      seconds: 0.2,
      warmUpSeconds: 0.1,
      perSecond: 1_000,
    } as Job);

    const latencies = new Latencies();
    latencies.add(sample.latencies ?? "");
    // A closed loop would have seen one slow call of 200; here half of them waited.
    expect(latencies.count).toBe(200);
    expect(latencies.at(75)).toBeGreaterThan(20e6);
  });
});

describe("text", () => {
  test.each([
    [0, "ns", "0 ns"],
    [999.4, "ns", "999 ns"],
    [999.6, "ns", "1.00 µs"],
    [12_345, "ns", "12.3 µs"],
    [1_500_000_000, "bytes_per_s", "1.50 GB/s"],
    [640_000, "per_s", "640 k"],
    [12, "count", "12"],
    [0.0123, "share", "1.23 %"],
  ] as const)("of %d in %s is %s", (value, unit, text) => {
    expect(withUnit(value, unit)).toBe(text);
  });

  test("of a ratio has three digits", () => {
    expect([0.0123, 0.5, 7.66, 123.4].map(ratioText)).toEqual([
      "0.012 ×",
      "0.500 ×",
      "7.66 ×",
      "123 ×",
    ]);
  });

  test("of a table is as wide as its widest cells", () => {
    expect(
      markdownTable([
        ["", "n"],
        ["a µ", "12345"],
      ]),
    ).toBe("|     |     n |\n| --- | ----: |\n| a µ | 12345 |");
  });
});

test("labels of a chart are moved apart, in their order, within the chart", () => {
  const moved = spreadOut([100, 101, 99, 10], 10, 105);

  expect(moved).toEqual([95, 105, 85, 10]);
});
