// The whole report as one HTML file that needs nothing beside it.

import { cases } from "../case/cases.ts";
import type { Results } from "../harness/results.ts";
import { metricNames, metrics } from "../measure/metrics.ts";
import { ratioText, withUnit } from "../harness/units.ts";
import { charts } from "./charts.ts";
import { machineText } from "./markdown.ts";
import { baseName, ratioOf } from "./ratio.ts";

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1300px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: 2px 8px; text-align: right; white-space: nowrap; }
/* Long words above short numbers would make a wide table wider. */
th { font-weight: 600; border-bottom: 1px solid #8886; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
tr.own td { font-weight: 600; }
h2 { margin: 2rem 0 0.3rem; font-size: 1.1rem; }
.error { color: #cf222e; font-size: 13px; }
svg { width: 100%; max-width: 900px; display: block; margin: 1rem 0; }
@media (prefers-color-scheme: dark) { .error { color: #ff7b72; } }
`;

export function html(results: Results): string {
  const { machine, commit, dirty, date, skipped } = results;
  const facts = `${machineText(machine)}; kernel ${machine.kernel}; ${howText(results)}; commit ${commit.slice(0, 10)}${dirty ? " with changes" : ""}; ${date}`;
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8"><title>bun-plug: benchmarks</title>',
    '<meta name="viewport" content="width=device-width">',
    `<style>${style}</style></head><body>`,
    "<h1>bun-plug: benchmarks</h1>",
    `<p>${Bun.escapeHTML(facts)}</p>`,
    ...skipped.map(
      ({ peer, reason }) => `<p class="error">skipped: ${Bun.escapeHTML(`${peer}; ${reason}`)}</p>`,
    ),
    ...charts(results).values(),
    ...cases.map((one) => section(one.name, results)),
    "</body></html>",
    "",
  ].join("\n");
}

function howText({ rounds, seconds, warm_up_seconds: warmUp }: Results): string {
  const warm = warmUp === undefined ? "" : ` behind a warm-up of ${warmUp} s`;
  return `medians of up to ${rounds} rounds, with spans of ${seconds} s${warm}`;
}

function section(name: string, { rows: all }: Results): string {
  const one = cases.find((other) => other.name === name);
  const rows = all.filter((row) => row.case === name);
  if (one === undefined || rows.length === 0) return "";
  const names = metricNames.filter((metric) => rows.some((row) => row[metric] !== undefined));
  const { label, unit } = metrics[one.metric];
  const header = [
    "",
    `${label} by ${baseName(one)}`,
    `spread of ${label}`,
    ...names.map((metric) => metrics[metric].label),
  ];
  const lines = rows
    .filter(({ rounds }) => rounds > 0)
    .map((row) => {
      const ratio = ratioOf(row, one, all);
      const spread = row.spread[one.metric];
      const cells = [
        row.peer,
        ratio === undefined ? "–" : ratioText(ratio),
        spread === undefined ? "–" : spread.map((value) => withUnit(value, unit)).join(" … "),
        ...names.map((metric) => {
          const value = row[metric];
          return value === undefined ? "–" : withUnit(value, metrics[metric].unit);
        }),
      ];
      const isOwn = row.peer === "bun-plug";
      return `<tr${isOwn ? ' class="own"' : ""}>${cells.map((cell) => `<td>${Bun.escapeHTML(cell)}</td>`).join("")}</tr>`;
    });
  const errors = rows.flatMap(({ peer, error }) =>
    error === undefined
      ? []
      : [`<p class="error">${Bun.escapeHTML(`${peer} failed: ${error}`)}</p>`],
  );
  return [
    `<h2>${Bun.escapeHTML(name)}</h2>`,
    `<div class="wide"><table><tr>${header.map((cell) => `<th>${Bun.escapeHTML(cell)}</th>`).join("")}</tr>`,
    ...lines,
    "</table></div>",
    ...errors,
  ].join("\n");
}
