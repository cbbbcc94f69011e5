// How fast is it, against what one would use instead?
//
//   bun bench [--filter REGEX] [--peer REGEX] [--quick] [--rounds N] [--seconds S]
//             [--json FILE] [--report FOLDER] [--list]
//
// --report writes charts and an HTML page into a folder.
//
// README.md says how to run it, how to read it, and what not to conclude.

import { parseArgs } from "node:util";

import { cases } from "./case/cases.ts";
import { thisCommit, thisMachine } from "./harness/machine.ts";
import { Programs } from "./harness/programs.ts";
import { Progress } from "./harness/progress.ts";
import { type Results, type Row, schemaVersion, writeResults } from "./harness/results.ts";
import { measureAll, type Outcome, peersOf, type Plan, usualGraceMs } from "./harness/rounds.ts";
import { rowOf } from "./harness/summary.ts";
import { peers } from "./peer/peers.ts";
import { writeReport } from "./report/report.ts";
import { caseTable } from "./report/table.ts";

const { values: flags } = parseArgs({
  options: {
    filter: { type: "string", default: "" },
    peer: { type: "string", default: "" },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    seconds: { type: "string" },
    json: { type: "string" },
    report: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

const plan = planOf();
if (flags.list) list(plan);
else await measure(plan);

function planOf(): Plan {
  const wantedCase = new RegExp(flags.filter, "i");
  const wantedPeer = new RegExp(flags.peer, "i");
  const plan = {
    cases: cases.filter(({ name, isQuick }) => wantedCase.test(name) && (isQuick || !flags.quick)),
    peers: peers.filter(({ name }) => wantedPeer.test(name)),
    rounds: numberOf("rounds", flags.rounds, flags.quick ? 2 : 3),
    seconds: numberOf("seconds", flags.seconds, flags.quick ? 0.1 : 0.2),
    graceMs: usualGraceMs,
  };
  if (plan.cases.length > 0 && plan.peers.length > 0) return plan;
  console.error("nothing to measure: `bun bench --list` shows all cases and peers");
  process.exit(2);
}

function numberOf(name: string, text: string | undefined, usual: number): number {
  const value = text === undefined ? usual : Number(text);
  if (value > 0) return value;
  console.error(`--${name} must be a number above 0, got ${text}`);
  process.exit(2);
}

function list({ cases, peers }: Plan): void {
  for (const one of cases) {
    const names = peersOf(one, peers).map(({ name }) => name);
    if (names.length > 0) console.log(`${one.name.padEnd(26)}${names.join("; ")}`);
  }
}

async function measure(plan: Plan): Promise<void> {
  const machine = await thisMachine();
  const { cpu, cores, platform, bun, go } = machine;
  console.log(`${cpu}, ${cores} cores, ${platform}; Bun ${bun}, ${go ? `Go ${go}` : "no Go"}`);
  console.log(`medians of ${plan.rounds} rounds of ${plan.seconds} s, in fresh processes`);
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
    rounds: plan.rounds,
    rows,
    skipped,
  };
  if (flags.json !== undefined) await writeResults(flags.json, results);
  if (flags.report !== undefined) await writeReport(flags.report, results);
}
