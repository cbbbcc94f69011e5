// The three charts, made from a results file.
//
// They draw some of the peers, since nobody can tell fifteen lines apart. The page has all numbers.

import { inFlightCounts, payloadSizes } from "../case/cases.ts";
import type { Results, Row } from "../harness/results.ts";
import { withUnit } from "../harness/units.ts";
import { reference } from "../peer/peers.ts";
import { type Chart, type Series, svg } from "./chart.ts";
import { axisOf, nines, powersAxis } from "./scale.ts";

// In the order of the palette, which is the same in all charts; limits share the last colour.
const drawn = [
  "bun-plug",
  reference,
  "bun-plug, socket",
  "bun-plug, stdio",
  "go-plugin, gRPC",
  "Bun.spawn IPC",
  "grpc-js",
  "vscode-jsonrpc",
  "comlink worker",
];

function isLimit(name: string): boolean {
  return name.startsWith("limit: ");
}

function isDrawn(name: string): boolean {
  return drawn.includes(name) || isLimit(name);
}

/** The charts by the names of their files. A chart without data is left out. */
export function charts(results: Results): ReadonlyMap<string, string> {
  const all: readonly (readonly [string, Chart])[] = [
    ["latency", latency(results.rows)],
    ["throughput", throughput(results.rows)],
    ["bandwidth", bandwidth(results.rows)],
  ];
  return new Map(
    all
      .filter(([, { series }]) => series.length > 0)
      .map(([name, chart]) => [name, svg(chart, colourOf)] as const),
  );
}

function latency(rows: readonly Row[]): Chart {
  const series = rows
    .filter((row) => row.case === "unary/1" && row.curve.length > 0 && isDrawn(row.peer))
    .map(({ peer, curve }) => ({
      name: peer,
      isLimit: isLimit(peer),
      // Beyond that, slow peers have a handful of calls, and the longest has no place here at all.
      points: curve.filter(([percentile]) => percentile <= 99.9),
    }));
  const ticks = [0, 50, 90, 99, 99.9].map((at) => ({ at, label: `${at} %` }));
  return {
    title: "Get of 16 bytes, one call after the other: latency by percentile",
    x: axisOf("so many of the calls took no longer", ticks, nines),
    y: powersAxis("latency", values(series), (ns) => round(withUnit(ns, "ns"))),
    series,
  };
}

function throughput(rows: readonly Row[]): Chart {
  const series = byPeer(rows, "unary", (row) => [row.in_flight, row.calls_per_s]);
  return {
    title: "Get of 16 bytes: calls per second by calls in flight",
    x: axisOf(
      "calls in flight",
      inFlightCounts.map((at) => ({ at, label: String(at) })),
    ),
    y: powersAxis("calls per second", values(series), (rate) => round(withUnit(rate, "per_s"))),
    series,
  };
}

function bandwidth(rows: readonly Row[]): Chart {
  const series = byPeer(rows, "down", (row) => [row.payload_bytes, row.bytes_per_s]);
  return {
    title: "Get of larger values, one call after the other: bytes per second by size",
    x: axisOf(
      "bytes of the value",
      payloadSizes.map((at) => ({ at, label: sizeText(at) })),
    ),
    y: powersAxis("bandwidth", values(series), (rate) => round(withUnit(rate, "bytes_per_s"))),
    series,
  };
}

function byPeer(
  rows: readonly Row[],
  group: string,
  point: (row: Row) => readonly [number, number | undefined],
): Series[] {
  const series = new Map<string, [number, number][]>();
  for (const row of rows) {
    const [x, y] = point(row);
    if (y === undefined || !row.case.startsWith(`${group}/`) || !isDrawn(row.peer)) continue;
    series.set(row.peer, [...(series.get(row.peer) ?? []), [x, y]]);
  }
  // One point is no line.
  return [...series]
    .filter(([, points]) => points.length > 1)
    .map(([name, points]) => ({
      name,
      isLimit: isLimit(name),
      points: points.toSorted(([a], [b]) => a - b),
    }));
}

function values(series: readonly Series[]): number[] {
  return series.flatMap(({ points }) => points.map(([, y]) => y));
}

function colourOf(name: string): number {
  const at = drawn.indexOf(name);
  return at < 0 ? drawn.length : at;
}

/** A power of ten needs no digits behind the point. */
function round(text: string): string {
  return text.replace(/\.0+(?= |$)/, "");
}

function sizeText(bytes: number): string {
  const [kib, mib] = [1024, 1024 * 1024];
  if (bytes >= mib) return `${bytes / mib} MiB`;
  return bytes >= kib ? `${bytes / kib} KiB` : `${bytes} B`;
}
