// Runs the rounds: for each case, the peers take turns, so that a machine that slows down slows all
// of them down, and each round has processes of its own. A peer that fails is out of the case, and
// of nothing else.

import type { Case } from "../case/case.ts";
import type { Job, Sample } from "../measure/sample.ts";
import type { Peer } from "../peer/peers.ts";
import { type Programs, Skipped } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { Late, run } from "./run-command.ts";

export interface Plan {
  readonly cases: readonly Case[];
  readonly peers: readonly Peer[];
  /** Whether cases ask all peers that can answer, also those that they would leave out. */
  readonly asksAll: boolean;
  /** Of each case; undefined for what the case itself says. */
  readonly rounds: number | undefined;
  /** What a span lasts; a case takes one or several. */
  readonly seconds: number;
  /** How long a load runs before it is measured, where it is to be warm. */
  readonly warmUpSeconds: number;
  /**
   * Milliseconds that a round may take beyond what it measures for: to start, to warm up, and to
   * stop, on a machine that is busy. Then it has failed.
   */
  readonly graceMs: number;
}

export const usualGraceMs = 8_000;
/** Where no case waits for quiet, and the whole run must be short. */
export const quickGraceMs = 5_000;

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
export function peersOf(
  { needs, peers: wanted }: Case,
  { peers, asksAll }: Pick<Plan, "peers" | "asksAll">,
): readonly Peer[] {
  return peers.filter(
    ({ abilities, name }) => abilities.has(needs) && (asksAll || wanted.test(name)),
  );
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
  const of: Plan = { ...plan, peers: able };
  const outcomes: Outcome[] = [];
  // Who hung is not asked for more of the same, which would cost as much time again.
  const late = new Map<string, string>();
  progress.expect(
    plan.cases.reduce(
      (sum, one) => sum + peersOf(one, of).length * roundsOf(one, plan) * costOf(one, plan),
      0,
    ),
  );
  for (const one of plan.cases) {
    const all = await measureCase(one, peersOf(one, of), plan, programs, progress, late);
    outcomes.push(...all);
    progress.clear();
    if (all.length > 0) await onCase(all);
  }
  return { outcomes, skipped };
}

async function build(
  plan: Plan,
  programs: Programs,
  progress: Progress,
): Promise<{ readonly able: readonly Peer[]; readonly skipped: Measured["skipped"] }> {
  const wanted = plan.peers.filter((peer) =>
    plan.cases.some((one) => peersOf(one, plan).includes(peer)),
  );
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
    warmUpSeconds: one.warmUps * plan.warmUpSeconds,
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
    timeoutMs: (seconds + job.warmUpSeconds) * 3_000 + plan.graceMs,
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

function roundsOf({ rounds: usual, maxRounds }: Case, { rounds }: Plan): number {
  return Math.min(rounds ?? usual, maxRounds);
}

// A round starts two processes and stops them; roughly so many seconds.
const startSeconds = 0.15;

/** About how long a round takes, in seconds. */
function costOf(one: Case, plan: Plan): number {
  return startSeconds + secondsOf(one, plan) + one.warmUps * plan.warmUpSeconds;
}

function secondsOf({ spans }: Case, { seconds }: Plan): number {
  return spans * seconds;
}
