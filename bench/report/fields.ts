// The fields of a row in a results file, as bench/README.md lists them.

import { metrics, type Unit } from "../measure/metrics.ts";
import { markdownTable } from "./markdown.ts";

const units: Record<Unit, string> = {
  ns: "nanoseconds",
  per_s: "per second",
  bytes: "bytes",
  bytes_per_s: "bytes per second",
  count: "a count",
  share: "a share, 1 is one core",
};

/** What is no number that was measured. */
const facts: Readonly<Record<string, string>> = {
  case: "the case's name",
  peer: "the peer's name",
  transport: "how the bytes travelled, in the peer's own word",
  version: "the peer's version",
  in_flight: "calls in flight; for `idle`, plugins",
  payload_bytes: "bytes of a payload, or of an element of a stream",
  rounds: "rounds that were measured",
};

const rest: Readonly<Record<string, string>> = {
  spread: "least and most of the rounds, for each number above",
  each: "the rounds, one after the other, for each number above",
  curve: "pairs of a percentile and its latency, of all rounds together",
  error: "why there is no number, or why there were fewer rounds; absent if all went well",
};

export function fieldsTable(): string {
  const line = ([name, means]: readonly [string, string], unit = ""): string[] => [
    `\`${name}\``,
    unit,
    means,
  ];
  return markdownTable(
    [
      ["field", "unit", "is"],
      ...Object.entries(facts).map((entry) => line(entry)),
      ...Object.entries(metrics).map(([name, { unit, means }]) => line([name, means], units[unit])),
      ...Object.entries(rest).map((entry) => line(entry)),
    ],
    "left",
  );
}
