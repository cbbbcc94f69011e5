// What one round of one case of one peer is asked, and what it answers. Both cross a process
// border as JSON, to programs in TypeScript and in Go alike.

import type { Metrics } from "./metrics.ts";

export type Kind =
  | "unary"
  | "rate"
  | "rare"
  | "up"
  | "down"
  | "echo"
  | "produce"
  | "consume"
  | "exchange"
  | "start"
  | "idle"
  | "held"
  | "busy-plugins"
  | "frame"
  | "fairness"
  | "slow-reader";

/** What a case asks; what it does not need is 0. */
export interface Question {
  readonly kind: Kind;
  readonly seconds: number;
  /** How long the load runs before it is measured. */
  readonly warmUpSeconds: number;
  readonly inFlight: number;
  readonly payloadBytes: number;
  /** `rate` and `rare`: calls per second. */
  readonly perSecond: number;
  /** A way of the same kind, such as "timeout"; empty for the plain way. */
  readonly mode: string;
}

/** A question to one peer. */
export interface Job extends Question {
  /** The plugin's program and its arguments. */
  readonly command: readonly string[];
  /** One of the peer's ways, such as a transport; empty for the peer's default. */
  readonly variant: string;
}

export interface Sample {
  /** How the bytes travelled, in the peer's own word. */
  readonly transport: string;
  /** An encoded HDR histogram, in nanoseconds. */
  readonly latencies?: string;
  readonly metrics: Metrics;
}
