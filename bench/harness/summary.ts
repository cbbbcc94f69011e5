// From the rounds of a case to one row: medians, and how far the rounds were apart.

import { Latencies } from "../measure/latencies.ts";
import { type MetricName, metricNames, type Metrics } from "../measure/metrics.ts";
import type { Sample } from "../measure/sample.ts";
import { versionOf } from "./machine.ts";
import type { Row } from "./results.ts";
import type { Outcome } from "./rounds.ts";

/** Where the latency charts have a point: ever closer to all calls. */
const curvePercentiles = [
  0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100,
] as const;

export async function rowOf(outcome: Outcome): Promise<Row> {
  const { samples, error, peer, case: one } = outcome;
  const rounds = samples.map(numbersOf);
  const medians: [MetricName, number][] = [];
  const spread: [MetricName, [number, number]][] = [];
  const each: [MetricName, readonly number[]][] = [];
  for (const name of metricNames) {
    const values = rounds.flatMap((round) => round[name] ?? []);
    if (values.length === 0) continue;
    medians.push([name, rounded(median(values))]);
    each.push([name, values.map(rounded)]);
    spread.push([name, [rounded(Math.min(...values)), rounded(Math.max(...values))]]);
  }
  return {
    case: one.name,
    peer: peer.name,
    transport: samples[0]?.transport ?? "",
    version: await versionOf(peer),
    in_flight: one.question.inFlight,
    payload_bytes: one.question.payloadBytes,
    rounds: samples.length,
    ...(Object.fromEntries(medians) as Metrics),
    spread: Object.fromEntries(spread),
    each: Object.fromEntries(each),
    curve: curveOf(samples),
    ...(error === undefined ? {} : { error }),
  };
}

/** All numbers of a round, those of its histogram too. */
export function numbersOf({ latencies, metrics }: Sample): Metrics {
  return latencies === undefined ? metrics : { ...histogramOf([latencies]).metrics(), ...metrics };
}

function curveOf(samples: readonly Sample[]): Row["curve"] {
  const histogram = histogramOf(samples.flatMap(({ latencies }) => latencies ?? []));
  if (histogram.count === 0) return [];
  return curvePercentiles.map((percentile) => [percentile, histogram.at(percentile)] as const);
}

function histogramOf(encoded: readonly string[]): Latencies {
  const latencies = new Latencies();
  for (const one of encoded) latencies.add(one);
  return latencies;
}

/** The one in the middle, or the mean of both. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [Math.ceil(middle) - 1, Math.floor(middle)];
  return ((sorted[low] as number) + (sorted[high] as number)) / 2;
}

/** Six digits are more than is known. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
