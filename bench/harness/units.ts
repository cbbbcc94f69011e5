// Numbers as people read them.

import type { Unit } from "../measure/metrics.ts";

/** A number with its unit, in three digits. */
export function withUnit(value: number, unit: Unit): string {
  switch (unit) {
    case "ns":
      return scaled(value, 1000, ["ns", "µs", "ms", "s"]);
    case "bytes":
      return scaled(value, 1000, ["B", "kB", "MB", "GB"]);
    case "bytes_per_s":
      return scaled(value, 1000, ["B/s", "kB/s", "MB/s", "GB/s"]);
    case "per_s":
    case "count":
      if (Number.isInteger(value) && value < 1000) return String(value);
      return scaled(value, 1000, ["", "k", "M", "G"]);
    case "share":
      return `${threeDigits(value * 100)} %`;
  }
}

/** As in "2.4 ×". */
export function ratioText(ratio: number): string {
  return `${threeDigits(ratio)} ×`;
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let rest = value;
  let at = 0;
  // What would be rounded up to the next unit belongs there.
  while (Math.abs(rest) >= step - 0.5 && at < units.length - 1) {
    rest /= step;
    at += 1;
  }
  return `${threeDigits(rest)} ${units[at]}`.trimEnd();
}

function threeDigits(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  // Thousandths of a per cent and of a nanosecond say nothing. What is rounded up to the next
  // power of ten has that one's digits.
  const digits = [99.95, 9.995, 0.9995].findIndex((least) => size >= least);
  return value.toFixed(digits < 0 ? 3 : digits);
}
