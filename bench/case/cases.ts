// All cases, in the order in which they run and are shown.
//
// Time is spent where ratios are quoted: those cases have more rounds, and all peers.

import { type Case, type CaseOptions, newCase } from "./case.ts";

const kib = 1024;
const mib = 1024 * kib;

export const inFlightCounts = [1, 16, 64, 256, 1024] as const;
export const payloadSizes = [16, kib, 32 * kib, mib, 16 * mib] as const;

const payloadBytes = 16;

// Rounds of cases whose ratios the README quotes. A call that wakes the other process takes 10 µs or
// 70, by where the kernel has put both; a few rounds may have seen one of the two only.
const quotedRounds = 5;
const wakingRounds = 7;
// How long the kernel takes to wake a process differs by a factor of three from one start to the next.
const rareRounds = 5;

// Which peers are asked where not all are. A regex each, since `--list` and a look at it tell more
// than a flag at every peer.
const two = /^(bun-plug|Bun\.spawn IPC)$/;
const fewWithoutLimits = /^(bun-plug|Go original|Bun\.spawn IPC)$/;
const few = /^(bun-plug|Go original|Bun\.spawn IPC|limit: .*)$/;
const fewAndOurs = /^(bun-plug(, \w+)?|Go original|Bun\.spawn IPC|limit: .*)$/;
/** Whom the charts draw. */
const drawn =
  /^(bun-plug(, \w+)?|Go original|go-plugin, gRPC|Bun\.spawn IPC|grpc-js|vscode-jsonrpc|comlink worker|limit: .*)$/;
/** The Go original fails beyond a few dozens of KiB, and hangs where it is much more. */
const fewWithoutGo = new RegExp(`(?!Go original)${few.source}`);
const drawnWithoutGo = new RegExp(`(?!Go original)${drawn.source}`);
const fewStreams = /^(bun-plug|go-plugin, gRPC|grpc-js)$/;
/** Those that wake each other for each call. */
const waking = /^(bun-plug, socket, no polling|bun-plug, stdio|Bun\.spawn IPC)$/;
/** All but a way of ours that nobody would choose. */
const usual = /^(?!.*no polling)/;

/** What bun-plug alone has, divided by the plain call. */
function plainCallWith(mode: string): CaseOptions {
  return { mode, against: "unary/1", spans: 2, payloadBytes };
}

export const cases: readonly Case[] = [
  // Get of 16 bytes.
  ...inFlightCounts.map((inFlight) => {
    const isQuoted = inFlight === 1 || inFlight === 64;
    return newCase(
      `unary/${inFlight}`,
      "unary",
      inFlight === 1 ? "calls" : "concurrency",
      inFlight === 1 ? "p50_ns" : "calls_per_s",
      {
        inFlight,
        payloadBytes,
        spans: 2,
        // With many in flight a second holds fewer turns, so that it takes longer until all is compiled.
        warmUps: inFlight > 64 ? 2 : 1,
        isQuick: isQuoted,
        rounds: inFlight === 1 ? wakingRounds : isQuoted ? quotedRounds : 3,
        peers: isQuoted ? usual : inFlight === 1024 ? drawn : few,
      },
    );
  }),
  newCase("blocking/1", "unary", "blocking", "p50_ns", {
    mode: "blocking",
    spans: 2,
    payloadBytes,
  }),
  // Nothing is warm: what a program sees that does not live long.
  ...[1, 64].map((inFlight) =>
    newCase(
      `first-second/${inFlight}`,
      "unary",
      inFlight === 1 ? "calls" : "concurrency",
      "calls_per_s",
      { inFlight, payloadBytes, spans: 5, warmUps: 0, rounds: 2, peers: few },
    ),
  ),
  newCase("pinned/1", "unary", "calls", "p50_ns", {
    isPinned: true,
    payloadBytes,
    spans: 2,
    peers: new RegExp(`${few.source}|${waking.source}`),
  }),
  // For those that are only interesting beside pinned/1.
  newCase("unpinned/1", "unary", "calls", "p50_ns", {
    payloadBytes,
    spans: 2,
    rounds: 2,
    peers: waking,
  }),
  newCase("rate/5000", "rate", "concurrency", "p99_ns", {
    perSecond: 5_000,
    payloadBytes,
    spans: 2,
    rounds: 2,
    peers: few,
  }),
  // The warm-up is one of its own kind; see measure/rate.ts.
  newCase("rare/1ms", "rare", "calls", "p50_ns", {
    perSecond: 1_000,
    payloadBytes,
    spans: 8,
    warmUps: 0,
    rounds: rareRounds,
    peers: two,
  }),
  newCase("rare/10ms", "rare", "calls", "p50_ns", {
    perSecond: 100,
    payloadBytes,
    spans: 15,
    warmUps: 0,
    rounds: rareRounds,
    peers: two,
  }),

  // Payloads.
  ...payloadSizes.flatMap((payloadBytes) =>
    (["up", "down"] as const).map((kind) => {
      const isQuoted = kind === "down" && payloadBytes === mib;
      return newCase(`${kind}/${sizeName(payloadBytes)}`, kind, "payloads", "bytes_per_s", {
        payloadBytes,
        spans: payloadBytes === 16 * mib ? 2 : 1,
        isQuick: isQuoted,
        rounds: 2,
        peers: payloadPeers(kind, payloadBytes),
      });
    }),
  ),
  ...[mib, 64 * mib].map((payloadBytes) =>
    newCase(`echo/${sizeName(payloadBytes)}`, "echo", "payloads", "bytes_per_s", {
      payloadBytes,
      spans: payloadBytes === mib ? 2 : 4,
      rounds: payloadBytes === mib ? 3 : 2,
      peers: new RegExp(`(?!Go original)${fewAndOurs.source}`),
    }),
  ),

  // Streams.
  newCase("produce/16B", "produce", "streams", "messages_per_s", {
    payloadBytes,
    rounds: 2,
    isQuick: true,
  }),
  newCase("produce/64KiB", "produce", "streams", "bytes_per_s", largeElements()),
  newCase("consume/16B", "consume", "streams", "messages_per_s", {
    payloadBytes,
    rounds: 2,
    peers: fewStreams,
  }),
  newCase("consume/64KiB", "consume", "streams", "bytes_per_s", largeElements()),
  newCase("exchange/16B", "exchange", "streams", "messages_per_s", {
    payloadBytes,
    rounds: 2,
    peers: fewStreams,
  }),
  newCase("exchange/64KiB", "exchange", "streams", "bytes_per_s", largeElements()),

  // Processes.
  newCase("start/warm", "start", "start", "p50_ns", {
    warmUps: 0,
    isQuick: true,
  }),
  // One load for each round, with the plugin's file out of the page cache.
  newCase("start/cold", "start", "program", "p50_ns", {
    warmUps: 0,
    mode: "once",
    rounds: 2,
    peers: drawn,
  }),
  newCase("idle/20", "idle", "process", "plugin_pss_bytes", {
    inFlight: 20,
    warmUps: 0,
    spans: 25,
    maxRounds: 1,
    peers: two,
  }),
  newCase("held/1000", "held", "process", "plugin_growth_bytes", {
    inFlight: 1_000,
    warmUps: 0,
    rounds: 2,
  }),

  // bun-plug alone: what options cost, and many plugins.
  newCase("unary-timeout/1", "unary", "own", "p50_ns", plainCallWith("timeout")),
  newCase("unary-signal/1", "unary", "own", "p50_ns", plainCallWith("signal")),
  newCase("unary-async/1", "unary", "own", "p50_ns", plainCallWith("later")),
  newCase("unary-callback/1", "unary", "own", "p50_ns", plainCallWith("callback")),
  newCase("plugins/one", "busy-plugins", "own", "calls_per_s", {
    mode: "one",
    inFlight: 640,
    spans: 5,
    warmUps: 2,
    payloadBytes,
  }),
  newCase("plugins/ten", "busy-plugins", "own", "calls_per_s", {
    inFlight: 640,
    spans: 10,
    // Ten plugins compile the same code, each for itself, on the cores that they are measured on.
    warmUps: 6,
    rounds: 2,
    payloadBytes,
    against: "plugins/one",
  }),

  // Framing, without I/O. The codec has a suite of its own, codec.bench.ts.
  ...[16, 4 * kib].flatMap((payloadBytes) =>
    ["read", "cut", "write"].map((mode) =>
      newCase(`frame-${mode}/${sizeName(payloadBytes)}`, "frame", "own", "p50_ns", {
        mode,
        warmUps: 0,
        payloadBytes,
      }),
    ),
  ),

  // bun-plug alone: what large messages, and readers that do not read, do to others.
  newCase("fairness/idle", "fairness", "own", "p99_ns", { mode: "idle", payloadBytes, spans: 5 }),
  newCase("fairness/large", "fairness", "own", "p99_ns", {
    mode: "large",
    against: "fairness/idle",
    payloadBytes,
    spans: 10,
  }),
  newCase("fairness/stuck", "fairness", "own", "p99_ns", {
    mode: "stuck",
    against: "fairness/idle",
    payloadBytes,
    spans: 5,
  }),
  ...(["down", "up"] as const).map((mode) =>
    newCase(
      `memory/slow-reader-${mode}`,
      "slow-reader",
      "own",
      mode === "down" ? "plugin_growth_bytes" : "host_growth_bytes",
      { mode, warmUps: 0, payloadBytes: 64 * kib, spans: 30, maxRounds: 1 },
    ),
  ),
];

function largeElements(): CaseOptions {
  return { payloadBytes: 64 * kib, rounds: 2, peers: fewStreams };
}

function payloadPeers(kind: "up" | "down", payloadBytes: number): RegExp {
  if (payloadBytes === mib) return kind === "down" ? /(?:)/ : fewAndOurs;
  if (payloadBytes > mib) return kind === "down" ? drawnWithoutGo : fewWithoutGo;
  return kind === "down" ? few : fewWithoutLimits;
}

function sizeName(bytes: number): string {
  if (bytes >= mib) return `${bytes / mib}MiB`;
  return bytes >= kib ? `${bytes / kib}KiB` : `${bytes}B`;
}
