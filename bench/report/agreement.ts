// Whether two runs agree on the ratios that the README quotes.

import type { Results } from "../harness/results.ts";
import { type Quoted, quotedRatios, withSpread } from "./markdown.ts";

export interface Line {
  /** Case, peer, and the ratios of both runs with their spreads. */
  readonly cells: readonly string[];
  readonly says: "agree" | "B is outside" | "A is outside" | "apart" | "not in A" | "not in B";
}

/** A line for each ratio that either run gives. */
export function agreement(a: Results, b: Results): readonly Line[] {
  const [ofA, ofB] = [byName(a), byName(b)];
  return [...new Set([...ofA.keys(), ...ofB.keys()])].map((name) => {
    const [one, other] = [ofA.get(name), ofB.get(name)];
    const cells = [one, other].map((ratio) => (ratio === undefined ? "–" : withSpread(ratio)));
    return { cells: [...name.split("\n"), ...cells], says: verdict(one, other) };
  });
}

function byName(results: Results): ReadonlyMap<string, Quoted> {
  return new Map(quotedRatios(results).map((one) => [`${one.case}\n${one.peer}`, one]));
}

function verdict(a: Quoted | undefined, b: Quoted | undefined): Line["says"] {
  if (a === undefined) return "not in A";
  if (b === undefined) return "not in B";
  const [isBOutside, isAOutside] = [isOutside(b.ratio, a.spread), isOutside(a.ratio, b.spread)];
  if (isBOutside && isAOutside) return "apart";
  if (isBOutside) return "B is outside";
  return isAOutside ? "A is outside" : "agree";
}

function isOutside(ratio: number, [least, most]: Quoted["spread"]): boolean {
  return ratio < least || ratio > most;
}
