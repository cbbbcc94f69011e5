// Latencies in an HDR histogram: nanoseconds, to three digits, up to a minute.

import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from "hdr-histogram-js";

const longestNs = 60e9;

/** The percentiles that every result has, by the names that they have in it. */
const percentiles = { p50_ns: 50, p90_ns: 90, p99_ns: 99, p999_ns: 99.9 } as const;

/** What is said of a histogram in a result. */
export type LatencyMetrics = Record<keyof typeof percentiles | "max_ns" | "mean_ns", number>;

/** Collects latencies, of one round or of several. */
export class Latencies {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: longestNs,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 32,
  });

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** Anything longer than a minute counts as a minute. */
  record(ns: number): void {
    this.#histogram.recordValue(Math.min(Math.max(Math.round(ns), 0), longestNs));
  }

  /** Adds what {@link encoded} gave, here or in a peer in Go. */
  add(encoded: string): void {
    this.#histogram.add(decodeFromCompressedBase64(encoded));
  }

  clear(): void {
    this.#histogram.reset();
  }

  /** In the format that HDR histograms have in every language. */
  encoded(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }

  metrics(): LatencyMetrics {
    const entries = Object.entries(percentiles).map(([name, percentile]) => [
      name,
      this.at(percentile),
    ]);
    return {
      ...(Object.fromEntries(entries) as Record<keyof typeof percentiles, number>),
      max_ns: this.#histogram.maxValue,
      mean_ns: Math.round(this.#histogram.mean),
    };
  }

  at(percentile: number): number {
    return this.#histogram.getValueAtPercentile(percentile);
  }
}
