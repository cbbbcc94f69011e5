// What a case is, and how cases are written down.

import type { MetricName } from "../measure/metrics.ts";
import type { Kind, Question } from "../measure/sample.ts";

/** What a peer must be able to do to be asked. */
export type Ability =
  /** Get, one after the other. */
  | "calls"
  /** More than one call in flight, or at least callers who wait for each other. */
  | "concurrency"
  /** Payloads of a size. */
  | "payloads"
  | "streams"
  /** A plugin that is started. */
  | "start"
  /** A program of its own, which can be dropped from the page cache. */
  | "program"
  /** A plugin that is a process of its own, and answers when it wants. */
  | "process"
  /** Calls that return their value, and no promise or the like. */
  | "blocking"
  /** What no other peer has: options of bun-plug's calls, its flow control. */
  | "own";

export interface Case {
  /** `<what>/<detail>`, so that a regex picks any slice. */
  readonly name: string;
  readonly needs: Ability;
  readonly question: Question;
  /** The number that the case is about: its spread is shown, and ratios are made of it. */
  readonly metric: MetricName;
  /** The case whose result the same peer's is divided by, instead of the Go original's. */
  readonly against?: string;
  /** In `--quick`. */
  readonly isQuick: boolean;
  /** Parts of the usual span, for a case that needs a longer look. @defaultValue 1 */
  readonly spans: number;
  /** Parts of the usual warm-up; 0 for what is not to be warm. @defaultValue 1 */
  readonly warmUps: number;
  /** All processes on one core, where waking another one is a switch and no message to a core. */
  readonly isPinned: boolean;
  /** Unless the command line says another number. @defaultValue 3 */
  readonly rounds: number;
  /** Whatever the command line says, for a case that takes long. @defaultValue no limit */
  readonly maxRounds: number;
  /**
   * The peers that are asked, unless the command line names peers: the others would take time for
   * what is not looked at. @defaultValue all
   */
  readonly peers: RegExp;
}

export interface CaseOptions extends Partial<Omit<Question, "kind">> {
  readonly against?: string;
  readonly isQuick?: boolean;
  readonly isPinned?: boolean;
  readonly spans?: number;
  readonly warmUps?: number;
  readonly rounds?: number;
  readonly maxRounds?: number;
  readonly peers?: RegExp;
}

export function newCase(
  name: string,
  kind: Kind,
  needs: Ability,
  metric: MetricName,
  options: CaseOptions = {},
): Case {
  const { against, isQuick = false, isPinned = false, ...more } = options;
  const { spans = 1, warmUps = 1, rounds = 3, maxRounds = Infinity, ...rest } = more;
  const { peers = /(?:)/, ...question } = rest;
  return {
    name,
    needs,
    metric,
    isQuick,
    isPinned,
    spans,
    warmUps,
    rounds,
    maxRounds,
    peers,
    ...(against === undefined ? {} : { against }),
    question: {
      kind,
      seconds: 0,
      warmUpSeconds: 0,
      inFlight: 1,
      payloadBytes: 0,
      perSecond: 0,
      mode: "",
      ...question,
    },
  };
}
