// The targets of speed that we have set ourselves, and what a results file says to each.

import { join } from "node:path";

import { resultsOf, runCommand } from "./harness/command-line.ts";
import { targetsTable } from "./report/targets.ts";

const help = `usage: bun run bench:targets [FILE]

Says what a results file says to each of the targets that we have set ourselves. It is
bench/results/full.json unless another one is named.`;

await runCommand(
  { name: "bench:targets", help, options: {}, positionals: 1 },
  async (_, [file = join(import.meta.dir, "results/full.json")]) => {
    const { rows } = await resultsOf(file);
    console.log(targetsTable(rows));
  },
);
