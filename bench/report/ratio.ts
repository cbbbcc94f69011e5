// What a number is divided by.

import type { Case } from "../case/case.ts";
import { cases } from "../case/cases.ts";
import type { Row } from "../harness/results.ts";
import { median } from "../harness/summary.ts";
import { reference } from "../peer/peers.ts";

const inFlightGroup = /^unary\//;

/** The words for it: "Go original", "Go original's best", or a case. */
export function baseName(one: Case): string {
  if (one.against !== undefined) return one.against;
  return isRateOfCalls(one) ? `${reference}'s best` : reference;
}

/**
 * The row that a peer's is divided by: the same peer's in another case, or the Go original's. For
 * calls in flight that is its best with any number of them, since it answers one at a time, and
 * more of them only get into each other's way.
 */
export function baseOf(row: Row, one: Case, all: readonly Row[]): Row | undefined {
  const { against } = one;
  if (against !== undefined) {
    return all.find((other) => other.case === against && other.peer === row.peer);
  }
  const rows = all.filter(
    (other) =>
      other.peer === reference &&
      (isRateOfCalls(one) ? inFlightGroup.test(other.case) : other.case === one.name),
  );
  return rows
    .filter((other) => other[one.metric] !== undefined)
    .toSorted((a, b) => (b[one.metric] ?? 0) - (a[one.metric] ?? 0))[0];
}

export function ratioOf(row: Row, one: Case, all: readonly Row[]): number | undefined {
  const [value, divisor] = [row[one.metric], baseOf(row, one, all)?.[one.metric]];
  return value === undefined || !divisor ? undefined : value / divisor;
}

// Two runs differ by a little more than their rounds: the machine is not the same an hour later.
const leastMargin = Math.log(1.1);

/**
 * Where the ratio of another run on the same machine is to be expected: from the least to the most
 * of the ratios of single rounds, and as far again on both sides, since other rounds would have
 * other extremes. Few rounds may be alike by chance, so that the margin is no less than the range
 * that half of the peers in the case have, and no less than 10 %.
 */
export function ratioSpread(
  row: Row,
  one: Case,
  all: readonly Row[],
): readonly [number, number] | undefined {
  const ratio = ratioOf(row, one, all);
  if (ratio === undefined) return undefined;
  const logs = logRatios(row, one, all);
  if (logs.length < 2) return outerSpread(row, one, all);
  const peers = all.filter((other) => other.case === row.case && !isBase(other, one, all));
  const ranges = peers.map((peer) => rangeOf(logRatios(peer, one, all)));
  const margin = Math.max(rangeOf(logs), median(ranges), leastMargin);
  const within = [...logs, Math.log(ratio)];
  return [Math.exp(Math.min(...within) - margin), Math.exp(Math.max(...within) + margin)];
}

/** Of rounds that were measured in the same turn. */
function logRatios(row: Row, one: Case, all: readonly Row[]): readonly number[] {
  const bases = baseOf(row, one, all)?.each ?? [];
  const own = (row.each ?? []).slice(0, bases.length);
  return own.map((value, i) => Math.log(value / (bases[i] as number)));
}

function rangeOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : Math.max(...values) - Math.min(...values);
}

/** The least and the most that the rounds can give at all, where single rounds are not known. */
function outerSpread(
  row: Row,
  one: Case,
  all: readonly Row[],
): readonly [number, number] | undefined {
  const [own, base] = [row, baseOf(row, one, all)].map((of) => of?.spread[one.metric]);
  return own === undefined || !base?.[0] ? undefined : [own[0] / base[1], own[1] / base[0]];
}

function isBase(row: Row, one: Case, all: readonly Row[]): boolean {
  return row.peer === baseOf(row, one, all)?.peer && one.against === undefined;
}

/** @throws {Error} There is no such case. */
export function caseOf(name: string): Case {
  const found = cases.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no case ${name}`);
  return found;
}

function isRateOfCalls({ name, metric }: Case): boolean {
  return inFlightGroup.test(name) && metric === "calls_per_s";
}
