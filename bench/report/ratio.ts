// What a number is divided by.

import type { Case } from "../case/case.ts";
import { cases } from "../case/cases.ts";
import type { Row } from "../harness/results.ts";
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
// Rounds that are far apart have come out in one way or the other (both processes on one core, or
// not), and have shown both.
const mostMargin = Math.log(1.35);

/**
 * Where the ratio of another run on the same machine is to be expected: from the least to the most
 * of the ratios of single rounds, and as far again on both sides, since other rounds have other
 * extremes; but that is no less than 10 % and no more than 35 %.
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
  const range = Math.max(...logs) - Math.min(...logs);
  const margin = Math.min(Math.max(range, leastMargin), mostMargin);
  const within = [...logs, Math.log(ratio)];
  return [Math.exp(Math.min(...within) - margin), Math.exp(Math.max(...within) + margin)];
}

/** Of rounds that were measured in the same turn. */
function logRatios(row: Row, one: Case, all: readonly Row[]): readonly number[] {
  const bases = baseOf(row, one, all)?.each ?? [];
  const own = (row.each ?? []).slice(0, bases.length);
  return own.map((value, i) => Math.log(value / (bases[i] as number)));
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

/** @throws {Error} There is no such case. */
export function caseOf(name: string): Case {
  const found = cases.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no case ${name}`);
  return found;
}

function isRateOfCalls({ name, metric }: Case): boolean {
  return inFlightGroup.test(name) && metric === "calls_per_s";
}
