// Runs the rounds: for each case, the peers take turns, so that a machine that slows down slows all
// of them down, and each round has processes of its own. A peer that fails is out of the case, and
// of nothing else.

import type { Case } from "../case/case.ts";
import { warmUpSeconds } from "../measure/callers.ts";
import type { Job, Sample } from "../measure/sample.ts";
import type { Peer } from "../peer/peers.ts";
import { type Programs, Skipped } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { Late, run } from "./run-command.ts";

export interface Plan {
  readonly cases: readonly Case[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  readonly seconds: number;
  /**
   * Milliseconds that a round may take beyond what it measures for: to start, to warm up, and to
   * stop, on a machine that is busy. Then it has failed.
   */
  readonly graceMs: number;
}

export const usualGraceMs = 8_000;

/** All rounds of one case of one peer. */
export interface Outcome {
  readonly case: Case;
  readonly peer: Peer;
  readonly samples: readonly Sample[];
  /** Why there are no more of them. */
  readonly error: string | undefined;
}

export interface Measured {
  readonly outcomes: readonly Outcome[];
  readonly skipped: readonly { readonly peer: string; readonly reason: string }[];
}

/** Which peers are asked a case. */
export function peersOf({ needs }: Case, peers: readonly Peer[]): readonly Peer[] {
  return peers.filter(({ abilities }) => abilities.has(needs));
}

/**
 * @param onCase Called when a case is through.
 */
export async function measureAll(
  plan: Plan,
  programs: Programs,
  progress: Progress,
  onCase: (outcomes: readonly Outcome[]) => Promise<void>,
): Promise<Measured> {
  const { able, skipped } = await build(plan, programs, progress);
  const outcomes: Outcome[] = [];
  // Who hung is not asked for more of the same, which would cost as much time again.
  const late = new Map<string, string>();
  progress.expect(
    plan.cases.reduce(
      (sum, one) => sum + peersOf(one, able).length * roundsOf(one, plan) * costOf(one, plan),
      0,
    ),
  );
  for (const one of plan.cases) {
    const of = await measureCase(one, peersOf(one, able), plan, programs, progress, late);
    outcomes.push(...of);
    progress.clear();
    await onCase(of);
  }
  return { outcomes, skipped };
}

async function build(
  { peers, cases }: Plan,
  programs: Programs,
  progress: Progress,
): Promise<{ readonly able: readonly Peer[]; readonly skipped: Measured["skipped"] }> {
  const wanted = peers.filter((peer) => cases.some((one) => peersOf(one, [peer]).length > 0));
  const able: Peer[] = [];
  const skipped: { peer: string; reason: string }[] = [];
  for (const peer of wanted) {
    progress.say(`building ${peer.name}`);
    try {
      await programs.hostOf(peer);
      await programs.pluginOf(peer);
      able.push(peer);
    } catch (error) {
      const { message } = error as Error;
      const reason = error instanceof Skipped ? message : `cannot be built: ${message}`;
      skipped.push({ peer: peer.name, reason });
    }
  }
  progress.clear();
  return { able, skipped };
}

async function measureCase(
  one: Case,
  peers: readonly Peer[],
  plan: Plan,
  programs: Programs,
  progress: Progress,
  late: Map<string, string>,
): Promise<Outcome[]> {
  const all = peers.map((peer) => {
    const before = late.get(lateKey(one, peer));
    return {
      case: one,
      peer,
      samples: [] as Sample[],
      error: before === undefined ? undefined : `not asked, since ${before} had no result`,
    };
  });
  const roundCount = roundsOf(one, plan);
  for (let round = 1; round <= roundCount; round++) {
    for (const outcome of all) {
      progress.say(`${one.name}, round ${round} of ${roundCount}: ${outcome.peer.name}`);
      if (outcome.error === undefined) {
        try {
          outcome.samples.push(await measureRound(one, outcome.peer, plan, programs));
        } catch (error) {
          outcome.error = (error as Error).message;
          if (error instanceof Late) late.set(lateKey(one, outcome.peer), one.name);
        }
      }
      progress.advance(costOf(one, plan));
    }
  }
  return all;
}

async function measureRound(
  one: Case,
  peer: Peer,
  plan: Plan,
  programs: Programs,
): Promise<Sample> {
  const plugin = await programs.pluginOf(peer);
  const seconds = secondsOf(one, plan);
  const job: Job = {
    ...one.question,
    seconds,
    command: plugin === undefined ? [] : [plugin],
    variant: peer.variant,
  };
  if (one.name === "start/cold" && plugin !== undefined) await dropFromPageCache(plugin);
  const command = [
    ...(one.isPinned ? ["taskset", "-c", "0"] : []),
    ...(await programs.hostOf(peer)),
    JSON.stringify(job),
  ];
  const output = await run(command, {
    timeoutMs: seconds * 3_000 + plan.graceMs,
    // A peer that is killed cannot remove its files.
    env: { ...process.env, TMPDIR: programs.folder },
  });
  return JSON.parse(output) as Sample;
}

/** The next reader of the file has to wait for the disk. */
async function dropFromPageCache(path: string): Promise<void> {
  await run(["dd", `of=${path}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"]);
}

function lateKey({ question }: Case, { name }: Peer): string {
  return `${question.kind} ${name}`;
}

function roundsOf({ maxRounds }: Case, { rounds }: Plan): number {
  return Math.min(rounds, maxRounds);
}

// A round starts two processes and warms up; roughly so many seconds.
const startSeconds = 0.3;

/** About how long a round takes, in seconds. */
function costOf(one: Case, plan: Plan): number {
  return startSeconds + secondsOf(one, plan) + warmUpSeconds(secondsOf(one, plan));
}

function secondsOf({ spans }: Case, { seconds }: Plan): number {
  return spans * seconds;
}
