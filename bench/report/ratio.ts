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

// Other rounds have other extremes, and the machine is not the same an hour later.
const margin = 1.25;

/**
 * Where the ratio of another run on the same machine is to be expected: the least and the most of a
 * peer's rounds, divided by those of the base, and 25 % more on both sides. Of the base's rounds only
 * the middle half counts: in one of five the Go original is ten times slower than usual, which does
 * not move its median, and would make all spreads useless.
 */
export function ratioSpread(
  row: Row,
  one: Case,
  all: readonly Row[],
): readonly [number, number] | undefined {
  const base = baseOf(row, one, all);
  if (base === undefined) return undefined;
  const { metric } = one;
  const own = row.each?.[metric] ?? [];
  const by = (base.each?.[metric] ?? []).toSorted((a, b) => a - b);
  const outer = Math.floor(by.length / 4);
  const inner = by.slice(outer, by.length - outer);
  const [least, most] = [inner[0], inner.at(-1)];
  if (own.length === 0 || !least || !most) return outerSpread(row, base, one);
  return [Math.min(...own) / most / margin, (Math.max(...own) / least) * margin];
}

/** Of a file in which single rounds are not told. */
function outerSpread(row: Row, base: Row, { metric }: Case): readonly [number, number] | undefined {
  const [own, by] = [row.spread[metric], base.spread[metric]];
  return own === undefined || !by?.[0] ? undefined : [own[0] / by[1], own[1] / by[0]];
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
