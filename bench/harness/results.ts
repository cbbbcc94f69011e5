// The results file: what is in it, how it is written, and what makes it one.

import type { MetricName, Metrics } from "../measure/metrics.ts";
import { metricNames, metrics } from "../measure/metrics.ts";
import type { Machine } from "./machine.ts";

/** Raised when a reader of the last version would misread a file. */
export const schemaVersion = 1;

/** One case of one peer. */
export interface Row extends Metrics {
  readonly case: string;
  readonly peer: string;
  /** How the bytes travelled, in the peer's own word. */
  readonly transport: string;
  /** Of the peer. */
  readonly version: string;
  readonly in_flight: number;
  readonly payload_bytes: number;
  /** Rounds that were measured; the numbers are medians of them. */
  readonly rounds: number;
  /** Least and most of the rounds, for each number. */
  readonly spread: Readonly<Partial<Record<MetricName, readonly [number, number]>>>;
  /** Each number, round by round. Absent in files of before. */
  readonly each?: Readonly<Partial<Record<MetricName, readonly number[]>>>;
  /** Latency at percentiles, of all rounds together. */
  readonly curve: readonly (readonly [percentile: number, ns: number])[];
  /** Why there is no number, or why there are fewer rounds than asked for. */
  readonly error?: string;
}

export interface Results {
  readonly schema: typeof schemaVersion;
  /** ISO 8601. */
  readonly date: string;
  readonly commit: string;
  /** Whether files differed from the commit. */
  readonly dirty: boolean;
  readonly machine: Machine;
  /** What a span lasts; a case is measured for one or several in a round. */
  readonly seconds: number;
  /** What a warm-up lasts; a case takes it in whole or in part. */
  readonly warm_up_seconds?: number;
  /** Of the case that had most. */
  readonly rounds: number;
  readonly rows: readonly Row[];
  /** Peers that could not be asked at all, with what to install. */
  readonly skipped: readonly { readonly peer: string; readonly reason: string }[];
}

/** Reads a results file. @throws {Error} It is none; the message names the field. */
export async function readResults(path: string): Promise<Results> {
  return checkResults(await Bun.file(path).json());
}

export async function writeResults(path: string, results: Results): Promise<void> {
  const { rows, ...head } = checkResults(results);
  // A line for each row, so that two runs can be compared line by line.
  const lines = rows.map((row) => `  ${JSON.stringify(row)}`);
  const start = JSON.stringify(head, null, 1).replace(/\n\}$/, "");
  await Bun.write(path, `${start},\n "rows": [\n${lines.join(",\n")}\n ]\n}\n`);
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isCount: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const isNumber: Check = (value) => typeof value === "number" && Number.isFinite(value);
const isFlag: Check = (value) => typeof value === "boolean";
const isPair: Check = (value) =>
  Array.isArray(value) && value.length === 2 && value.every(isNumber);
const isOptional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

/** The fields, in the order in which README.md lists them. */
export const resultFields: Readonly<Record<string, Check>> = {
  schema: (value) => value === schemaVersion,
  date: (value) => isText(value) && !Number.isNaN(Date.parse(value as string)),
  commit: isText,
  dirty: isFlag,
  machine: (value) => typeof value === "object" && value !== null,
  seconds: isNumber,
  warm_up_seconds: isOptional(isNumber),
  rounds: isCount,
  rows: Array.isArray,
  skipped: Array.isArray,
};

export const machineFields: Readonly<Record<string, Check>> = {
  cpu: isText,
  cores: isCount,
  memory_bytes: isCount,
  platform: isText,
  kernel: isText,
  bun: isText,
  go: isOptional(isText),
};

export const rowFields: Readonly<Record<string, Check>> = {
  case: isText,
  peer: isText,
  transport: isText,
  version: isText,
  in_flight: isCount,
  payload_bytes: isCount,
  rounds: isCount,
  ...Object.fromEntries(metricNames.map((name) => [name, isOptional(isNumber)])),
  spread: (value) =>
    typeof value === "object" &&
    value !== null &&
    Object.entries(value).every(([name, pair]) => name in metrics && isPair(pair)),
  each: isOptional(
    (value) =>
      typeof value === "object" &&
      value !== null &&
      Object.entries(value).every(
        ([name, list]) => name in metrics && Array.isArray(list) && list.every(isNumber),
      ),
  ),
  curve: (value) => Array.isArray(value) && value.every(isPair),
  error: isOptional(isText),
};

export const skippedFields: Readonly<Record<string, Check>> = { peer: isText, reason: isText };

/** @throws {Error} Not a results file; the message names the field. */
export function checkResults(value: unknown): Results {
  check("results", value, resultFields);
  const results = value as Results;
  check("machine", results.machine, machineFields);
  for (const [i, row] of results.rows.entries()) check(`rows[${i}]`, row, rowFields);
  for (const [i, one] of results.skipped.entries()) check(`skipped[${i}]`, one, skippedFields);
  return results;
}

function check(name: string, value: unknown, fields: Readonly<Record<string, Check>>): void {
  if (typeof value !== "object" || value === null) throw new Error(`${name} is no object`);
  for (const [field, isRight] of Object.entries(fields)) {
    const got = (value as Record<string, unknown>)[field];
    if (!isRight(got)) throw new Error(`${name}.${field} cannot be ${JSON.stringify(got)}`);
  }
  for (const field of Object.keys(value)) {
    if (!(field in fields)) throw new Error(`${name}.${field} is unknown`);
  }
}
