// Do two runs agree on what the README quotes?

import { resultsOf, runCommand, UsageError } from "./harness/command-line.ts";
import { agreement } from "./report/agreement.ts";
import { markdownTable } from "./report/markdown.ts";

const help = `usage: bun run bench:agree A.json B.json

Says for each ratio that the README quotes whether the one of run B lies within the spread that
run A states, and the other way round. Ends with code 1 if one does not.`;

await runCommand({ name: "bench:agree", help, options: {}, positionals: 2 }, async (_, [a, b]) => {
  if (a === undefined || b === undefined) throw new UsageError("name two results files");
  const lines = agreement(await resultsOf(a), await resultsOf(b));
  console.log(
    markdownTable(
      [["case", "peer", "A", "B", ""], ...lines.map(({ cells, says }) => [...cells, says])],
      "left",
    ),
  );
  const apart = lines.filter(({ says }) => says !== "agree").length;
  console.log(`\n${lines.length - apart} of ${lines.length} ratios agree`);
  if (apart > 0 || lines.length === 0) process.exit(1);
});
