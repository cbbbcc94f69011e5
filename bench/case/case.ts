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
  /** All processes on one core, where waking another one is a switch and no message to a core. */
  readonly isPinned: boolean;
  /** Fewer rounds than usual, for a case that takes long. */
  readonly maxRounds: number;
}

export interface CaseOptions extends Partial<Omit<Question, "kind">> {
  readonly against?: string;
  readonly isQuick?: boolean;
  readonly isPinned?: boolean;
  readonly spans?: number;
  readonly maxRounds?: number;
}

export function newCase(
  name: string,
  kind: Kind,
  needs: Ability,
  metric: MetricName,
  options: CaseOptions = {},
): Case {
  const { against, isQuick = false, isPinned = false, ...more } = options;
  const { spans = 1, maxRounds = Infinity, ...question } = more;
  return {
    name,
    needs,
    metric,
    isQuick,
    isPinned,
    spans,
    maxRounds,
    ...(against === undefined ? {} : { against }),
    question: {
      kind,
      seconds: 0,
      inFlight: 1,
      payloadBytes: 0,
      perSecond: 0,
      mode: "",
      ...question,
    },
  };
}
