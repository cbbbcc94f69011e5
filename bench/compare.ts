// Is the working tree faster or slower than another commit?
//
// Both are measured by the code of the working tree, in rounds that take turns.

import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { cases } from "./case/cases.ts";
import { countOf, numberOf, regexOf, runCommand, UsageError } from "./harness/command-line.ts";
import { compare } from "./harness/confidence.ts";
import { Programs } from "./harness/programs.ts";
import { Progress } from "./harness/progress.ts";
import { measureAll, type Outcome, type Plan, usualGraceMs } from "./harness/rounds.ts";
import { run } from "./harness/run-command.ts";
import { numbersOf } from "./harness/summary.ts";
import { withUnit } from "./harness/units.ts";
import { metrics } from "./measure/metrics.ts";
import { type Peer, peers } from "./peer/peers.ts";

const root = join(import.meta.dir, "..");

const help = `usage: bun run bench:compare REF [options]

Measures the working tree against a commit, and says for each case whether it is faster, slower or
no different, and with which confidence.

  --filter REGEX   cases whose name fits (one call, 64 in flight, 1 MiB, a stream, a load)
  --rounds N       pairs of rounds (10); fewer than 8 cannot reach the confidence that is wanted
  --seconds S      what a span of a case lasts (0.3)
  --warm-up S      how long a load runs before it is measured (1)
  --help           say this`;

await runCommand(
  {
    name: "bench:compare",
    help,
    options: {
      filter: {
        type: "string",
        default: "^unary/(1|64)$|^(up|down)/1MiB$|^produce/16B$|^start/warm$",
      },
      rounds: { type: "string", default: "10" },
      seconds: { type: "string", default: "0.3" },
      "warm-up": { type: "string", default: "1" },
    },
    positionals: 1,
  },
  async (flags, [ref]) => {
    if (ref === undefined) throw new UsageError("say which commit to compare with");
    const wanted = regexOf("filter", flags.filter);
    const plan = {
      cases: cases.filter(({ name }) => wanted.test(name)),
      asksAll: true,
      rounds: countOf("rounds", flags.rounds),
      seconds: numberOf("seconds", flags.seconds),
      warmUpSeconds: numberOf("warm-up", flags["warm-up"]),
      graceMs: usualGraceMs,
    };
    if (plan.cases.length === 0) throw new UsageError("no case fits the filter");
    await compareWith(ref, plan);
  },
);

async function compareWith(ref: string, plan: Omit<Plan, "peers">): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bun-plug-compare-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const peers = [subject(ref, await checkOut(ref, folder)), subject("working tree", root)];
  console.log(`working tree against ${ref}: ${plan.rounds} pairs of rounds of ${plan.seconds} s\n`);
  const { skipped } = await measureAll(
    { ...plan, peers },
    new Programs(),
    new Progress(),
    async (outcomes) => console.log(line(outcomes)),
  );
  for (const { peer, reason } of skipped) console.log(`${peer}: ${reason}`);
}

/** The files of a commit, with the benchmarks of the working tree. */
async function checkOut(ref: string, folder: string): Promise<string> {
  const tree = join(folder, "tree");
  const archive = join(folder, "tree.tar");
  try {
    await run(["git", "archive", "--output", archive, ref], { cwd: root });
  } catch (error) {
    throw new UsageError(`there is no commit ${ref}: ${(error as Error).message}`);
  }
  await run(["mkdir", tree]);
  await run(["tar", "-xf", archive, "-C", tree]);
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
  const ownStubs = await Bun.file(join(tree, "bench/gen/bench_plug.ts")).exists();
  cpSync(join(root, "bench"), join(tree, "bench"), {
    recursive: true,
    // Generated code belongs to the runtime of its own commit.
    filter: (path) => !(ownStubs && path.startsWith(join(root, "bench/gen"))),
  });
  return tree;
}

function subject(name: string, tree: string): Peer {
  const [own] = peers as [Peer];
  return {
    ...own,
    name,
    root: tree,
  };
}

function line(outcomes: readonly Outcome[]): string {
  const [before, after] = outcomes as [Outcome, Outcome];
  const { name, metric } = before.case;
  const error = before.error ?? after.error;
  if (error !== undefined) return `${name.padEnd(20)} failed: ${error}`;
  const valuesOf = ({ samples }: Outcome): number[] =>
    samples.map((sample) => numbersOf(sample)[metric] ?? NaN);
  const afters = valuesOf(after);
  const pairs = valuesOf(before).map((value, i) => [value, afters[i] ?? NaN] as const);
  const { label, unit, better } = metrics[metric];
  const { ratio, verdict, confidence } = compare(pairs, better);
  const [from, to] = [0, 1].map((side) => {
    const mean = Math.exp(
      pairs.reduce((sum, pair) => sum + Math.log(pair[side as 0 | 1]), 0) / pairs.length,
    );
    return withUnit(mean, unit);
  });
  const change = `${ratio >= 1 ? "+" : ""}${((ratio - 1) * 100).toFixed(1)} %`;
  return `${name.padEnd(20)} ${label.padEnd(11)} ${from} → ${to} (${change}): ${verdict}, confidence ${(confidence * 100).toFixed(1)} %`;
}
