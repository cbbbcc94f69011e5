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
      return value < 1000 ? threeDigits(value) : scaled(value, 1000, ["", "k", "M", "G"]);
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
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  // Thousandths of a per cent and of a nanosecond say nothing.
  return value.toFixed(Math.min(Math.max(2 - magnitude, 0), 3));
}
