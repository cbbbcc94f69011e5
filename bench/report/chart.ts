// A line chart as SVG that stands alone, and fits a page in light and in dark: it has no background,
// and its colours follow the reader's.

import { type Axis, spreadOut } from "./scale.ts";

export interface Series {
  readonly name: string;
  /** What nobody can be beyond: drawn in dashes. */
  readonly isLimit: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const width = 900;
const height = 460;
const left = 92;
const right = 678;
const top = 44;
const bottom = 404;
const labelGap = 15;

// For each series a colour on white and one on black, both of which can be read as text there. The
// first two are for those that the chart is about; the same peer has the same colour in all charts.
const colours: readonly (readonly [light: string, dark: string])[] = [
  ["#cf222e", "#ff7b72"],
  ["#0550ae", "#58a6ff"],
  ["#bc4c00", "#f0a35e"],
  ["#bf3989", "#f778ba"],
  ["#1b7c83", "#39c5cf"],
  ["#1a7f37", "#3fb950"],
  ["#8250df", "#bc8cff"],
  ["#6e4b2a", "#c69c6d"],
  ["#57606a", "#adb5bd"],
  ["#24292f", "#f0f6fc"],
];

function style(): string {
  const rules = (pick: 0 | 1): string =>
    colours.map((pair, i) => `.s${i}{color:${pair[pick]}}`).join("");
  return [
    "text{font:12px system-ui,sans-serif;fill:#1f2328}",
    ".title{font-size:15px;font-weight:600}",
    ".grid{stroke:#d0d7de;stroke-width:1}",
    ".line{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}",
    ".dot{fill:currentColor}",
    ".name{fill:currentColor}",
    ".main .line{stroke-width:3}",
    ".main .name{font-weight:700}",
    ".limit .line{stroke-dasharray:6 4}",
    ".lead{stroke:currentColor;stroke-width:1;stroke-dasharray:1 3}",
    rules(0),
    "@media (prefers-color-scheme:dark){",
    "text{fill:#e6edf3}.grid{stroke:#30363d}.name{fill:currentColor}",
    rules(1),
    "}",
  ].join("\n");
}

/** @param colourOf The place of a series in the palette; 0 and 1 are drawn strongly. */
export function svg(chart: Chart, colourOf: (name: string) => number): string {
  const x = (value: number): number => left + chart.x.place(value) * (right - left);
  const y = (value: number): number => bottom - chart.y.place(value) * (bottom - top);
  // The main ones last, so that they lie above the others.
  const series = chart.series.toSorted((a, b) => colourOf(b.name) - colourOf(a.name));
  const ends = series.map(({ points }) => y(points.at(-1)?.[1] ?? 1));
  const labels = spreadOut(ends, labelGap, bottom);
  const lines = series.map((one, i) => seriesSvg(one, colourOf(one.name), x, y, labels[i] ?? 0));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(chart.title)}">`,
    `<style>${style()}</style>`,
    `<text class="title" x="${left}" y="22">${escaped(chart.title)}</text>`,
    ...chart.y.ticks.map(({ at, label }) =>
      [
        `<line class="grid" x1="${left}" x2="${right}" y1="${place(y(at))}" y2="${place(y(at))}"/>`,
        `<text x="${left - 8}" y="${place(y(at) + 4)}" text-anchor="end">${escaped(label)}</text>`,
      ].join(""),
    ),
    ...chart.x.ticks.map(({ at, label }) =>
      [
        `<line class="grid" x1="${place(x(at))}" x2="${place(x(at))}" y1="${top}" y2="${bottom}"/>`,
        `<text x="${place(x(at))}" y="${bottom + 18}" text-anchor="middle">${escaped(label)}</text>`,
      ].join(""),
    ),
    `<text x="${(left + right) / 2}" y="${bottom + 40}" text-anchor="middle">${escaped(chart.x.title)}</text>`,
    `<text x="14" y="${(top + bottom) / 2}" text-anchor="middle" transform="rotate(-90 14 ${(top + bottom) / 2})">${escaped(chart.y.title)}</text>`,
    ...lines,
    "</svg>",
    "",
  ].join("\n");
}

function seriesSvg(
  { name, isLimit, points }: Series,
  colour: number,
  x: (value: number) => number,
  y: (value: number) => number,
  labelY: number,
): string {
  const places = points.map(([px, py]) => [place(x(px)), place(y(py))] as const);
  const [endX = 0, endY = 0] = places.at(-1) ?? [];
  const labelX = right + 22;
  return [
    `<g class="s${colour % colours.length}${colour < 2 ? " main" : ""}${isLimit ? " limit" : ""}">`,
    `<polyline class="line" points="${places.map((point) => point.join(",")).join(" ")}"/>`,
    ...places.map(([px, py]) => `<circle class="dot" cx="${px}" cy="${py}" r="2.4"/>`),
    `<line class="lead" x1="${endX + 4}" y1="${endY}" x2="${labelX - 3}" y2="${place(labelY)}"/>`,
    `<text class="name" x="${labelX}" y="${place(labelY + 4)}">${escaped(name)}</text>`,
    "</g>",
  ].join("");
}

function place(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return Bun.escapeHTML(text);
}
