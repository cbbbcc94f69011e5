// From numbers to places on a chart. All scales are logarithmic, since peers differ by factors.

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface Axis {
  readonly title: string;
  readonly ticks: readonly Tick[];
  /** From a number to its place, 0 to 1. */
  readonly place: (value: number) => number;
}

/** An axis whose ticks are given; it ends at the first and at the last of them. */
export function axisOf(
  title: string,
  ticks: readonly Tick[],
  scale: (value: number) => number = Math.log10,
): Axis {
  const first = scale(ticks[0]?.at ?? 1);
  const last = scale(ticks.at(-1)?.at ?? 10);
  return { title, ticks, place: (value) => (scale(value) - first) / (last - first) };
}

/** An axis with a tick at each power of ten, wide enough for all values. */
export function powersAxis(
  title: string,
  values: readonly number[],
  label: (value: number) => string,
): Axis {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(Math.ceil(Math.log10(Math.max(...values))), low + 1);
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => {
    const at = 10 ** (low + i);
    return { at, label: label(at) };
  });
  return axisOf(title, ticks);
}

/** As HDR histograms are drawn: each nine takes as much room as the one before. */
export function nines(percentile: number): number {
  return Math.log10(100 / (100 - percentile));
}

/** Moves places apart until each has `gap` to the next, as little as need be. */
export function spreadOut(places: readonly number[], gap: number, most: number): number[] {
  const order = places.map((_, i) => i).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  const moved = [...places];
  let least = -Infinity;
  for (const i of order) {
    moved[i] = Math.max(moved[i] ?? 0, least + gap);
    least = moved[i];
  }
  // What was pushed out at the end pushes the others back.
  let bound = most;
  for (const i of order.toReversed()) {
    moved[i] = Math.min(moved[i] ?? 0, bound);
    bound = (moved[i] ?? 0) - gap;
  }
  return moved;
}
