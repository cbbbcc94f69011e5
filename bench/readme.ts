// Writes what the README says of speed, and the charts and the report, from a results file.

import { join } from "node:path";

import { resultsOf, runCommand } from "./harness/command-line.ts";
import { readmePart } from "./report/markdown.ts";
import { withPart } from "./report/part.ts";
import { writeReport } from "./report/report.ts";

const root = join(import.meta.dir, "..");
const folder = "bench/results";

const help = `usage: bun run bench:readme [FILE]

Writes the README's table, the charts and the page in ${folder}/ from a results file, which is
${folder}/full.json unless another one is named.`;

await runCommand(
  { name: "bench:readme", help, options: {}, positionals: 1 },
  async (_, [file = join(root, folder, "full.json")]) => {
    const results = await resultsOf(file);
    await writeReport(join(root, folder), results);
    const readme = join(root, "README.md");
    const text = await Bun.file(readme).text();
    const part = readmePart(results, `${folder}/throughput.svg`);
    await Bun.write(readme, withPart(text, "bench", part));
  },
);
