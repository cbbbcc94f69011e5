// The targets of speed, and what a results file says to each.

import type { Row } from "../harness/results.ts";
import { ratioText, withUnit } from "../harness/units.ts";
import { type MetricName, metrics } from "../measure/metrics.ts";
import { reference } from "../peer/peers.ts";
import { markdownTable } from "./markdown.ts";

interface Place {
  readonly case: string;
  readonly peer: string;
}

interface Target {
  readonly what: string;
  /** If several, their sum. */
  readonly of: readonly [MetricName, ...MetricName[]];
  readonly ours: Place;
  /** What ours is divided by; of several, the best. Absent: the number itself counts. */
  readonly by?: readonly Place[];
  /** For a number of which less is better the most, else the least. Absent: it is only told. */
  readonly bound?: number;
}

const own = "bun-plug";
const socket = "bun-plug, socket";
const stdio = "bun-plug, stdio";
const unpolled = "bun-plug, socket, no polling";
const ipc = "Bun.spawn IPC";

function at(name: string, peer: string): Place {
  return { case: name, peer };
}

/** Ours by one peer's number in a case, which is ours too unless another one is named. */
function by(
  [theirs, name]: readonly [peer: string, name: string],
  what: string,
  metric: MetricName,
  bound?: number,
  ours = at(name, own),
): Target {
  const rest = bound === undefined ? {} : { bound };
  return { what, of: [metric], ours, by: [at(name, theirs)], ...rest };
}

const goBest = [1, 16, 64, 256, 1024].map((count) => at(`unary/${count}`, reference));

const rareCalls = [1, 10].flatMap((ms): Target[] => {
  const name = `rare/${ms}ms`;
  const both = { ours: at(name, own), by: [at(name, ipc)], bound: 1 };
  return [
    by([ipc, name], `a call every ${ms} ms, by IPC`, "p50_ns", 1.3),
    { what: "… CPU of both processes", of: ["host_cpu_ns", "plugin_cpu_ns"], ...both },
    { what: "… host CPU", of: ["host_cpu_ns"], ...both },
    { what: "… plugin CPU", of: ["plugin_cpu_ns"], ...both },
  ];
});

const plain = [own, "unary/1"] as const;

const targets: readonly Target[] = [
  by([reference, "unary/1"], "one after the other, p50", "p50_ns", 0.3),
  by([reference, "unary/1"], "… mean", "mean_ns", 0.2),
  by([reference, "unary/1"], "… p99", "p99_ns", 0.2),
  {
    what: "64 in flight, by Go's best",
    of: ["calls_per_s"],
    ours: at("unary/64", own),
    by: goBest,
    bound: 30,
  },
  by([ipc, "unary/64"], "… by IPC", "calls_per_s", 10),
  {
    what: "1,024 in flight, by Go's best",
    of: ["calls_per_s"],
    ours: at("unary/1024", own),
    by: goBest,
    bound: 40,
  },
  by([reference, "blocking/1"], "blocking call", "p50_ns", 0.25),
  ...rareCalls,
  by(plain, "with timeoutMs", "p50_ns", 2, at("unary-timeout/1", own)),
  by(plain, "with signal", "p50_ns", 2, at("unary-signal/1", own)),
  by(plain, "with an async handler", "p50_ns", 2, at("unary-async/1", own)),
  by(plain, "with a callback", "p50_ns", 3, at("unary-callback/1", own)),
  by([ipc, "pinned/1"], "socket, no polling, one core, by IPC", "p50_ns", 1, {
    case: "pinned/1",
    peer: unpolled,
  }),
  by([ipc, "pinned/1"], "stdio, one core, by IPC", "p50_ns", 2, at("pinned/1", stdio)),
  by([ipc, "unpinned/1"], "… socket, no polling, all cores", "p50_ns", undefined, {
    case: "unpinned/1",
    peer: unpolled,
  }),
  by([ipc, "unpinned/1"], "… stdio, all cores", "p50_ns", undefined, at("unpinned/1", stdio)),
  by(["limit: memcpy", "echo/1MiB"], "echo of 1 MiB, by memcpy", "bytes_per_s", 0.5),
  by([socket, "echo/1MiB"], "… by the socket", "bytes_per_s", 1.5),
  by(["limit: memcpy", "echo/64MiB"], "echo of 64 MiB, by memcpy", "bytes_per_s"),
  by([socket, "echo/64MiB"], "… by the socket", "bytes_per_s"),
  by([reference, "start/warm"], "load to first answer", "p50_ns", 2.5),
  by(
    [own, "plugins/one"],
    "16 services of 10 plugins, by one",
    "calls_per_s",
    0.7,
    at("plugins/ten", own),
  ),
  {
    what: "20 idle plugins, host CPU",
    of: ["host_cpu_share"],
    ours: at("idle/20", own),
    bound: 0.001,
  },
  {
    what: "… CPU of each plugin",
    of: ["plugin_cpu_share"],
    ours: at("idle/20", own),
    bound: 0.001,
  },
  by(["grpc-js", "produce/16B"], "elements of 16 B, by grpc-js", "messages_per_s", 20),
  by(
    [own, "fairness/idle"],
    "p99 beside 100 MiB messages, by idle",
    "p99_ns",
    10,
    at("fairness/large", own),
  ),
  {
    what: "calls of the first second, 1 in flight",
    of: ["calls_per_s"],
    ours: at("first-second/1", own),
  },
  { what: "… 64 in flight", of: ["calls_per_s"], ours: at("first-second/64", own) },
];

/** What was wanted, what it is, and whether that will do. */
export function targetsTable(rows: readonly Row[]): string {
  const lines = targets.map((target) => targetLine(target, rows));
  return markdownTable([["", "wanted", "is", ""], ...lines]);
}

function targetLine({ what, of, ours, by, bound }: Target, rows: readonly Row[]): string[] {
  const { better, unit } = metrics[of[0]];
  const isLowerBetter = better === "lower";
  const asText = (value: number): string => {
    if (by !== undefined) return ratioText(value);
    return unit === "share" ? `${(value * 100).toFixed(2)} %` : withUnit(value, unit);
  };
  const wanted = bound === undefined ? "" : `${isLowerBetter ? "≤" : "≥"} ${asText(bound)}`;
  const value = numberAt(ours, of, rows);
  const bases = (by ?? []).flatMap((place) => numberAt(place, of, rows) ?? []);
  const base = by === undefined ? 1 : isLowerBetter ? Math.min(...bases) : Math.max(...bases);
  if (value === undefined || !Number.isFinite(base)) return [what, wanted, "–", "not measured"];
  const is = value / base;
  if (bound === undefined) return [what, wanted, asText(is), ""];
  const isMet = isLowerBetter ? is <= bound : is >= bound;
  return [what, wanted, asText(is), isMet ? "met" : "missed"];
}

function numberAt(
  { case: name, peer }: Place,
  of: readonly MetricName[],
  rows: readonly Row[],
): number | undefined {
  const row = rows.find((row) => row.case === name && row.peer === peer);
  return of.reduce<number | undefined>((sum, metric) => {
    const value = row?.[metric];
    return value === undefined || sum === undefined ? undefined : sum + value;
  }, 0);
}
