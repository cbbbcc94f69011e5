// The targets of speed, and what a results file says to each.
//
//   bun run bench:targets [FILE]
//
// Rows whose feature is not there yet (the ring, blocking calls) come with it.

import { join } from "node:path";

import { readResults, type Row } from "./harness/results.ts";
import { ratioText } from "./harness/units.ts";
import { type MetricName, metrics } from "./measure/metrics.ts";
import { reference } from "./peer/peers.ts";
import { markdownTable } from "./report/markdown.ts";

interface Place {
  readonly case: string;
  readonly peer: string;
}

interface Target {
  readonly what: string;
  readonly metric: MetricName;
  readonly ours: Place;
  /** What ours is divided by; one of several, the best. Absent: the number itself counts. */
  readonly by?: readonly Place[];
  /** For a number of which less is better the most, else the least. */
  readonly bound: number;
}

const own = "bun-plug";
const ipc = "Bun.spawn IPC";

function place(name: string, peer: string): Place {
  return { case: name, peer };
}

function target(
  what: string,
  metric: MetricName,
  ours: Place,
  by: readonly Place[],
  bound: number,
): Target {
  return { what, metric, ours, by, bound };
}

const inFlight = [1, 16, 64, 256, 1024].map((count) => place(`unary/${count}`, reference));
const one = place("unary/1", own);

const targets: readonly Target[] = [
  target("one after the other, p50", "p50_ns", one, [place("unary/1", reference)], 0.3),
  target("… mean", "mean_ns", one, [place("unary/1", reference)], 0.2),
  target("… p99", "p99_ns", one, [place("unary/1", reference)], 0.2),
  target("64 in flight", "calls_per_s", place("unary/64", own), inFlight, 30),
  target("… by IPC", "calls_per_s", place("unary/64", own), [place("unary/64", ipc)], 10),
  target("1,024 in flight", "calls_per_s", place("unary/1024", own), inFlight, 40),
  target(
    "a call every 1 ms, by IPC",
    "p50_ns",
    place("rare/1ms", own),
    [place("rare/1ms", ipc)],
    1.3,
  ),
  target("… host CPU", "host_cpu_ns", place("rare/1ms", own), [place("rare/1ms", ipc)], 1),
  target("… plugin CPU", "plugin_cpu_ns", place("rare/1ms", own), [place("rare/1ms", ipc)], 1),
  target(
    "a call every 10 ms, by IPC",
    "p50_ns",
    place("rare/10ms", own),
    [place("rare/10ms", ipc)],
    1.3,
  ),
  target("… host CPU", "host_cpu_ns", place("rare/10ms", own), [place("rare/10ms", ipc)], 1),
  target("… plugin CPU", "plugin_cpu_ns", place("rare/10ms", own), [place("rare/10ms", ipc)], 1),
  target("with timeoutMs", "p50_ns", place("unary-timeout/1", own), [one], 2),
  target("with signal", "p50_ns", place("unary-signal/1", own), [one], 2),
  target("with an async handler", "p50_ns", place("unary-async/1", own), [one], 2),
  target(
    "socket on one core, by IPC",
    "p50_ns",
    place("pinned/1", own),
    [place("pinned/1", ipc)],
    1,
  ),
  target(
    "stdio on one core, by IPC",
    "p50_ns",
    place("pinned/1", `${own}, stdio`),
    [place("pinned/1", ipc)],
    2,
  ),
  target(
    "echo of 1 MiB, by memcpy",
    "bytes_per_s",
    place("echo/1MiB", own),
    [place("echo/1MiB", "limit: memcpy")],
    0.5,
  ),
  target(
    "load to first answer",
    "p50_ns",
    place("start/warm", own),
    [place("start/warm", reference)],
    2.5,
  ),
  target(
    "16 services of 10 plugins, by one plugin",
    "calls_per_s",
    place("plugins/ten", own),
    [place("plugins/one", own)],
    0.7,
  ),
  {
    what: "20 idle plugins, host CPU",
    metric: "host_cpu_share",
    ours: place("idle/20", own),
    bound: 0.001,
  },
  {
    what: "… CPU of each plugin",
    metric: "plugin_cpu_share",
    ours: place("idle/20", own),
    bound: 0.001,
  },
  target(
    "elements of 16 B, by grpc-js",
    "messages_per_s",
    place("produce/16B", own),
    [place("produce/16B", "grpc-js")],
    20,
  ),
  target(
    "p99 beside 100 MiB messages, by idle",
    "p99_ns",
    place("fairness/large", own),
    [place("fairness/idle", own)],
    10,
  ),
];

const [file = join(import.meta.dir, "results/full.json")] = process.argv.slice(2);
const { rows } = await readResults(file);
console.log(markdownTable([["", "wanted", "is", ""], ...targets.map(line)]));

function line({ what, metric, ours, by, bound }: Target): string[] {
  const isLowerBetter = metrics[metric].better === "lower";
  const asText = by === undefined ? percentText : ratioText;
  const wanted = `${isLowerBetter ? "≤" : "≥"} ${asText(bound)}`;
  const value = numberAt(ours, metric);
  const bases = (by ?? []).flatMap((place) => numberAt(place, metric) ?? []);
  // The base is the best that it can do.
  const base = by === undefined ? 1 : isLowerBetter ? Math.min(...bases) : Math.max(...bases);
  if (value === undefined || !Number.isFinite(base)) return [what, wanted, "–", "not measured"];
  const ratio = value / base;
  const isMet = isLowerBetter ? ratio <= bound : ratio >= bound;
  return [what, wanted, asText(ratio), isMet ? "met" : "missed"];
}

function numberAt({ case: name, peer }: Place, metric: MetricName): number | undefined {
  return rows.find((row: Row) => row.case === name && row.peer === peer)?.[metric];
}

function percentText(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
