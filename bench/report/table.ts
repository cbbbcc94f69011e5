// The rows of a case as a table, for a terminal.

import type { Case } from "../case/case.ts";
import { type MetricName, metricNames, metrics } from "../measure/metrics.ts";
import type { Row } from "../harness/results.ts";
import { ratioText, withUnit } from "../harness/units.ts";
import { baseName, ratioOf } from "./ratio.ts";

/** One case: peers down, numbers across; the last column says how it compares. */
export function caseTable(one: Case, rows: readonly Row[], all: readonly Row[]): string {
  const names = metricNames.filter((name) => rows.some((row) => row[name] !== undefined));
  const measured = rows.filter(({ rounds }) => rounds > 0);
  const ratios = measured.map((row) => ratioOf(row, one, all));
  const hasRatio = ratios.some((ratio) => ratio !== undefined);
  const header = [
    "",
    ...names.flatMap((name) =>
      name === one.metric ? [metrics[name].label, "spread"] : [metrics[name].label],
    ),
    ...(hasRatio ? [`${metrics[one.metric].label} by ${baseName(one)}`] : []),
  ];
  const lines = measured.map((row, i) => [
    row.peer,
    ...names.flatMap((name) => cells(row, name, one.metric)),
    ...(hasRatio ? [ratioCell(ratios[i])] : []),
  ]);
  const table = lines.length === 0 ? "" : aligned([header, ...lines]);
  const errors = rows.flatMap(({ peer, error }) =>
    error === undefined ? [] : [`  ${peer} failed: ${error}`],
  );
  return [`\n${one.name}`, table, ...errors].filter((part) => part !== "").join("\n");
}

function cells(row: Row, name: MetricName, main: MetricName): string[] {
  const value = row[name];
  const { unit } = metrics[name];
  const text = value === undefined ? "–" : withUnit(value, unit);
  if (name !== main) return [text];
  const spread = row.spread[name];
  return [
    text,
    spread === undefined ? "–" : `${withUnit(spread[0], unit)} … ${withUnit(spread[1], unit)}`,
  ];
}

function ratioCell(ratio: number | undefined): string {
  return ratio === undefined ? "–" : ratioText(ratio);
}

function aligned(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) =>
    Math.max(...lines.map((line) => Bun.stringWidth(line[column] ?? ""))),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => {
          const space = " ".repeat((widths?.[column] ?? 0) - Bun.stringWidth(cell));
          return column === 0 ? `  ${cell}${space}` : `${space}${cell}`;
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
