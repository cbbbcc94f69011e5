// Whether two ways differ, judged by rounds that took turns.

export type Verdict = "faster" | "slower" | "no difference";

export interface Comparison {
  /** New by old, the geometric mean of all pairs of rounds. */
  readonly ratio: number;
  readonly verdict: Verdict;
  /** That there is a difference at all, 0 to 1. */
  readonly confidence: number;
}

/** From here on a difference counts as one. */
export const wantedConfidence = 0.99;

// All ways to flip the signs of so many pairs are tried.
const maxPairs = 16;

/**
 * Compares rounds in pairs, by a permutation test: if both were the same, each pair could as well
 * have come the other way round. The confidence is the share of all ways to turn pairs around that
 * lie closer to no difference than what was measured.
 *
 * @param pairs Each the old number and the new one, measured one after the other.
 */
export function compare(
  pairs: readonly (readonly [before: number, after: number])[],
  better: "lower" | "higher",
): Comparison {
  const logs = pairs.slice(0, maxPairs).map(([before, after]) => Math.log(after / before));
  const sum = logs.reduce((total, log) => total + log, 0);
  const ways = 2 ** logs.length;
  let asFar = 0;
  for (let way = 0; way < ways; way++) {
    const turned = logs.reduce((total, log, i) => total + (way & (1 << i) ? -log : log), 0);
    // Rounding must not make the measured way differ from itself.
    if (Math.abs(turned) >= Math.abs(sum) - 1e-12) asFar += 1;
  }
  const confidence = 1 - asFar / ways;
  const ratio = Math.exp(sum / logs.length);
  if (confidence < wantedConfidence) return { ratio, verdict: "no difference", confidence };
  const isFaster = better === "lower" ? ratio < 1 : ratio > 1;
  return { ratio, verdict: isFaster ? "faster" : "slower", confidence };
}
