// How fast is it, against what one would use instead?
//
// README.md says how to run it, how to read it, and what not to conclude.

import { cases } from "./case/cases.ts";
import { countOf, numberOf, regexOf, runCommand, UsageError } from "./harness/command-line.ts";
import { thisCommit, thisMachine } from "./harness/machine.ts";
import { Programs } from "./harness/programs.ts";
import { Progress } from "./harness/progress.ts";
import { type Results, type Row, schemaVersion, writeResults } from "./harness/results.ts";
import {
  measureAll,
  type Outcome,
  peersOf,
  type Plan,
  quickGraceMs,
  usualGraceMs,
} from "./harness/rounds.ts";
import { rowOf } from "./harness/summary.ts";
import { peers } from "./peer/peers.ts";
import { writeReport } from "./report/report.ts";
import { caseTable } from "./report/table.ts";

const help = `usage: bun bench [options]

Measures bun-plug beside what one would use instead; everything takes a quarter of an hour.

  --quick          the main cases only, shorter: under two minutes
  --filter REGEX   cases whose name fits
  --peer REGEX     peers whose name fits, in all cases that they can be asked; without it some
                   cases leave some peers out
  --rounds N       rounds of each case, in place of what the case says (2 to 9)
  --seconds S      what a span of a case lasts (0.2; --quick: 0.1); a case takes one or several
  --warm-up S      how long a load runs before it is measured (1; --quick: 0.6)
  --json FILE      write the results
  --report FOLDER  write charts and an HTML page with everything
  --list           say which cases and peers there are, and measure nothing
  --help           say this

bench/README.md says how to read it.`;

interface Flags {
  readonly filter: string;
  readonly peer?: string | undefined;
  readonly quick: boolean;
  readonly rounds?: string | undefined;
  readonly seconds?: string | undefined;
  readonly "warm-up"?: string | undefined;
  readonly json?: string | undefined;
  readonly report?: string | undefined;
}

await runCommand(
  {
    name: "bun bench",
    help,
    options: {
      filter: { type: "string", default: "" },
      peer: { type: "string" },
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      "warm-up": { type: "string" },
      json: { type: "string" },
      report: { type: "string" },
      list: { type: "boolean", default: false },
    },
  },
  async (flags) => {
    const plan = planOf(flags);
    if (flags.list) list(plan);
    else await measure(plan, flags);
  },
);

function planOf(flags: Flags): Plan {
  const { quick, peer } = flags;
  const wantedCase = regexOf("filter", flags.filter);
  const wantedPeer = regexOf("peer", peer ?? "");
  const { rounds, seconds, "warm-up": warmUp } = flags;
  const plan: Plan = {
    cases: cases.filter(({ name, isQuick }) => wantedCase.test(name) && (isQuick || !quick)),
    peers: peers.filter(({ name }) => wantedPeer.test(name)),
    asksAll: peer !== undefined,
    rounds: rounds !== undefined ? countOf("rounds", rounds) : quick ? 2 : undefined,
    seconds: seconds !== undefined ? numberOf("seconds", seconds) : quick ? 0.1 : 0.2,
    warmUpSeconds: warmUp !== undefined ? numberOf("warm-up", warmUp) : quick ? 0.6 : 1,
    graceMs: quick ? quickGraceMs : usualGraceMs,
  };
  if (plan.cases.some((one) => peersOf(one, plan).length > 0)) return plan;
  throw new UsageError("nothing to measure: `bun bench --list` shows all cases and peers");
}

function list(plan: Plan): void {
  for (const one of plan.cases) {
    const names = peersOf(one, plan).map(({ name }) => name);
    if (names.length > 0) console.log(`${one.name.padEnd(26)}${names.join("; ")}`);
  }
}

async function measure(plan: Plan, flags: Flags): Promise<void> {
  const machine = await thisMachine();
  const { cpu, cores, platform, bun, go } = machine;
  console.log(`${cpu}, ${cores} cores, ${platform}; Bun ${bun}, ${go ? `Go ${go}` : "no Go"}`);
  console.log("medians of rounds in fresh processes");
  const rows: Row[] = [];
  const show = async (outcomes: readonly Outcome[]): Promise<void> => {
    const of = await Promise.all(outcomes.map(rowOf));
    rows.push(...of);
    const one = outcomes[0]?.case;
    if (one !== undefined) console.log(caseTable(one, of, rows));
  };
  const { skipped } = await measureAll(plan, new Programs(), new Progress(), show);
  for (const { peer, reason } of skipped) console.log(`\nskipped: ${peer}; ${reason}`);
  const results: Results = {
    schema: schemaVersion,
    date: new Date().toISOString(),
    ...(await thisCommit()),
    machine,
    seconds: plan.seconds,
    warm_up_seconds: plan.warmUpSeconds,
    rounds: Math.max(0, ...rows.map(({ rounds }) => rounds)),
    rows,
    skipped,
  };
  if (flags.json !== undefined) await writeResults(flags.json, results);
  if (flags.report !== undefined) await writeReport(flags.report, results);
}
