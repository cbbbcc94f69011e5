// Writes what the README says of speed, and the charts and the report, from a results file.

import { join } from "node:path";

import { resultsOf, runCommand } from "./harness/command-line.ts";
import { readmePart } from "./report/markdown.ts";
import { withPart } from "./report/part.ts";
import { writeReport } from "./report/report.ts";
import { targetsTable } from "./report/targets.ts";

const root = join(import.meta.dir, "..");
const folder = "bench/results";

const help = `usage: bun run bench:readme [FILE]

Writes the README's table, the targets in bench/README.md, the charts and the page in
${folder}/ from a results file, which is ${folder}/full.json unless another one is named.`;

await runCommand(
  { name: "bench:readme", help, options: {}, positionals: 1 },
  async (_, [file = join(root, folder, "full.json")]) => {
    const results = await resultsOf(file);
    await writeReport(join(root, folder), results);
    await writePart("README.md", "bench", readmePart(results, `${folder}/throughput.svg`));
    await writePart("bench/README.md", "targets", targetsTable(results.rows));
  },
);

async function writePart(path: string, name: string, part: string): Promise<void> {
  const file = join(root, path);
  await Bun.write(file, withPart(await Bun.file(file).text(), name, part));
}
