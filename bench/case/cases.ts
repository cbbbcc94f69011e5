// All cases, in the order in which they run and are shown.
//
// What is to come has its place here: blocking calls are one more kind beside "unary"; the shared-memory
// ring and polling are variants of the peer bun-plug.

import { type Case, newCase } from "./case.ts";

const kib = 1024;
const mib = 1024 * kib;

export const inFlightCounts = [1, 16, 64, 256, 1024] as const;
export const payloadSizes = [16, kib, 32 * kib, mib, 16 * mib] as const;

const payloadBytes = 16;

export const cases: readonly Case[] = [
  // Get of 16 bytes.
  ...inFlightCounts.map((inFlight) =>
    newCase(
      `unary/${inFlight}`,
      "unary",
      inFlight === 1 ? "calls" : "concurrency",
      inFlight === 1 ? "p50_ns" : "calls_per_s",
      { inFlight, payloadBytes, spans: 2, isQuick: inFlight === 1 || inFlight === 64 },
    ),
  ),
  newCase("pinned/1", "unary", "calls", "p50_ns", { isPinned: true, payloadBytes, spans: 2 }),
  newCase("rate/5000", "rate", "concurrency", "p99_ns", { perSecond: 5_000, payloadBytes }),
  newCase("rare/1ms", "rare", "calls", "p50_ns", { perSecond: 1_000, payloadBytes }),
  newCase("rare/10ms", "rare", "calls", "p50_ns", { perSecond: 100, payloadBytes, spans: 2 }),

  // Payloads.
  ...payloadSizes.flatMap((payloadBytes) =>
    (["up", "down"] as const).map((kind) =>
      newCase(`${kind}/${sizeName(payloadBytes)}`, kind, "payloads", "bytes_per_s", {
        payloadBytes,
        isQuick: kind === "down" && payloadBytes === mib,
      }),
    ),
  ),
  newCase("echo/1MiB", "echo", "payloads", "bytes_per_s", { payloadBytes: mib }),

  // Streams.
  newCase("produce/16B", "produce", "streams", "messages_per_s", { payloadBytes, isQuick: true }),
  newCase("produce/64KiB", "produce", "streams", "bytes_per_s", { payloadBytes: 64 * kib }),
  newCase("consume/16B", "consume", "streams", "messages_per_s", { payloadBytes }),
  newCase("consume/64KiB", "consume", "streams", "bytes_per_s", { payloadBytes: 64 * kib }),
  newCase("exchange/16B", "exchange", "streams", "messages_per_s", { payloadBytes }),
  newCase("exchange/64KiB", "exchange", "streams", "bytes_per_s", { payloadBytes: 64 * kib }),

  // Processes.
  newCase("start/warm", "start", "start", "p50_ns", { isQuick: true }),
  // One load for each round, with the plugin's file out of the page cache.
  newCase("start/cold", "start", "program", "p50_ns", { mode: "once" }),
  newCase("idle/20", "idle", "process", "plugin_pss_bytes", {
    inFlight: 20,
    spans: 10,
    maxRounds: 1,
  }),
  newCase("held/1000", "held", "process", "plugin_growth_bytes", { inFlight: 1_000 }),

  // bun-plug alone: what options cost, and many plugins.
  newCase("unary-timeout/1", "unary", "own", "p50_ns", {
    mode: "timeout",
    against: "unary/1",
    spans: 2,
    payloadBytes,
  }),
  newCase("unary-signal/1", "unary", "own", "p50_ns", {
    mode: "signal",
    against: "unary/1",
    spans: 2,
    payloadBytes,
  }),
  newCase("unary-async/1", "unary", "own", "p50_ns", {
    mode: "later",
    against: "unary/1",
    spans: 2,
    payloadBytes,
  }),
  newCase("unary-callback/1", "unary", "own", "p50_ns", {
    mode: "callback",
    against: "unary/1",
    spans: 2,
    payloadBytes,
  }),
  newCase("plugins/one", "busy-plugins", "own", "calls_per_s", {
    mode: "one",
    inFlight: 640,
    payloadBytes,
  }),
  newCase("plugins/ten", "busy-plugins", "own", "calls_per_s", {
    inFlight: 640,
    payloadBytes,
    against: "plugins/one",
  }),

  // Framing, without I/O. The codec has a suite of its own, codec.bench.ts.
  ...[16, 4 * kib].flatMap((payloadBytes) =>
    ["read", "cut", "write"].map((mode) =>
      newCase(`frame-${mode}/${sizeName(payloadBytes)}`, "frame", "own", "p50_ns", {
        mode,
        payloadBytes,
      }),
    ),
  ),

  // bun-plug alone: what large messages, and readers that do not read, do to others.
  newCase("fairness/idle", "fairness", "own", "p99_ns", { mode: "idle", payloadBytes, spans: 10 }),
  newCase("fairness/large", "fairness", "own", "p99_ns", {
    mode: "large",
    against: "fairness/idle",
    payloadBytes,
    spans: 20,
  }),
  newCase("fairness/stuck", "fairness", "own", "p99_ns", {
    mode: "stuck",
    against: "fairness/idle",
    payloadBytes,
    spans: 10,
  }),
  newCase("memory/slow-reader-down", "slow-reader", "own", "plugin_growth_bytes", {
    mode: "down",
    payloadBytes: 64 * kib,
    spans: 100,
    maxRounds: 1,
  }),
  newCase("memory/slow-reader-up", "slow-reader", "own", "host_growth_bytes", {
    mode: "up",
    payloadBytes: 64 * kib,
    spans: 100,
    maxRounds: 1,
  }),
];

function sizeName(bytes: number): string {
  if (bytes >= mib) return `${bytes / mib}MiB`;
  return bytes >= kib ? `${bytes / kib}KiB` : `${bytes}B`;
}
