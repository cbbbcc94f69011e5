// What stands in the README, made from a results file.

import type { Case } from "../case/case.ts";
import type { MetricName } from "../measure/metrics.ts";
import { metrics } from "../measure/metrics.ts";
import type { Machine } from "../harness/machine.ts";
import type { Results, Row } from "../harness/results.ts";
import { ratioText, withUnit } from "../harness/units.ts";
import { reference } from "../peer/peers.ts";
import { caseOf, ratioOf, ratioSpread } from "./ratio.ts";

interface Column {
  readonly title: string;
  readonly case: string;
  /** Shows how the peer compares, and not the number. */
  readonly isRatio?: boolean;
  /** Another number than the one that the case is about. */
  readonly metric?: MetricName;
}

const columns: readonly Column[] = [
  { title: "one call: p50", case: "unary/1" },
  { title: "p99", case: "unary/1", metric: "p99_ns" },
  { title: "p50 by Go's", case: "unary/1", isRatio: true },
  { title: "calls/s, 64 in flight", case: "unary/64" },
  { title: "by Go's best", case: "unary/64", isRatio: true },
  { title: "1 MiB down", case: "down/1MiB" },
  { title: "load to first answer", case: "start/warm" },
];

/** The part of the README between its marks, with the chart whose path is given. */
export function readmePart(results: Results, chartPath: string): string {
  return [
    readmeTable(results),
    "",
    `${machineText(results.machine)}; medians of ${roundsText(results)} rounds; ${dateText(results)}. "By Go's" is the number divided by the Go original's (by its best with any number of calls in flight), and in brackets where another run's is to be expected.`,
    "",
    `![Calls per second by calls in flight](${chartPath})`,
  ].join("\n");
}

/** Of the cases in the table. */
function roundsText({ rows }: Results): string {
  const shown = rows.filter((row) => columns.some((column) => column.case === row.case));
  const counts = shown.map(({ rounds }) => rounds).filter((count) => count > 0);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? String(most) : `${least} to ${most}`;
}

export function readmeTable({ rows }: Results): string {
  const peers = [...new Set(rows.map(({ peer }) => peer))];
  const header = ["", ...columns.map(({ title }) => title)];
  const lines = peers.map((peer) => [peer, ...columns.map((column) => cell(rows, peer, column))]);
  return markdownTable([header, ...lines.filter(([, ...cells]) => cells.some(isNumber))]);
}

/** A ratio that the README quotes. */
export interface Quoted {
  readonly case: string;
  readonly peer: string;
  readonly ratio: number;
  readonly spread: readonly [number, number];
}

export function quotedRatios({ rows }: Results): readonly Quoted[] {
  return columns
    .filter(({ isRatio }) => isRatio === true)
    .flatMap((column) =>
      rows
        .filter((row) => row.case === column.case)
        .flatMap((row) => quoted(row, caseOf(column.case), rows) ?? []),
    );
}

function quoted(row: Row, one: Case, rows: readonly Row[]): Quoted | undefined {
  if (row.peer === reference) return undefined;
  const [ratio, spread] = [ratioOf(row, one, rows), ratioSpread(row, one, rows)];
  if (ratio === undefined || spread === undefined) return undefined;
  return { case: one.name, peer: row.peer, ratio, spread };
}

const none = "–";

function isNumber(cell: string): boolean {
  return cell !== none;
}

function cell(rows: readonly Row[], peer: string, column: Column): string {
  const one = caseOf(column.case);
  const row = rows.find((row) => row.case === one.name && row.peer === peer);
  if (row === undefined) return none;
  if (column.isRatio === true) {
    const found = quoted(row, one, rows);
    return found === undefined ? none : withSpread(found);
  }
  const metric = column.metric ?? one.metric;
  const value = row[metric];
  return value === undefined ? none : withUnit(value, metrics[metric].unit);
}

/** As in "2.00 × (1.50 to 2.50)". */
export function withSpread({ ratio, spread }: Quoted): string {
  const [least, most] = spread.map((value) => ratioText(value).replace(" ×", ""));
  return `${ratioText(ratio)} (${least} to ${most})`;
}

/** A table as the formatter writes it; all columns but the first are on the side that is given. */
export function markdownTable(
  lines: readonly (readonly string[])[],
  side: "left" | "right" = "right",
): string {
  const isLeft = (column: number): boolean => column === 0 || side === "left";
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(isLeft(column) ? 3 : 4, ...lines.map((line) => Bun.stringWidth(line[column] ?? ""))),
  );
  const padded = lines.map((line) =>
    line.map((cell, column) => {
      const space = " ".repeat((widths[column] ?? 0) - Bun.stringWidth(cell));
      return isLeft(column) ? cell + space : space + cell;
    }),
  );
  const rule = widths.map((width, column) =>
    isLeft(column) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  const [header = [], ...rest] = padded;
  return [header, rule, ...rest].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

export function machineText({ cpu, cores, platform, bun, go }: Machine): string {
  const languages = [`Bun ${bun}`, ...(go === undefined ? [] : [`Go ${go}`])];
  return `${cpu}, ${cores} cores, ${platform}; ${languages.join(", ")}`;
}

function dateText({ date, commit }: Results): string {
  return `${date.slice(0, 10)}, commit ${commit.slice(0, 10)}`;
}
