// Writes what the README says of speed, and the charts and the report, from a results file.
//
//   bun run bench:readme [FILE]

import { join } from "node:path";

import { readResults } from "./harness/results.ts";
import { readmePart } from "./report/markdown.ts";
import { withPart } from "./report/part.ts";
import { writeReport } from "./report/report.ts";

const root = join(import.meta.dir, "..");
const folder = "bench/results";
const [file = join(root, folder, "full.json")] = process.argv.slice(2);

const results = await readResults(file);
await writeReport(join(root, folder), results);
const readme = join(root, "README.md");
const text = await Bun.file(readme).text();
await Bun.write(readme, withPart(text, "bench", readmePart(results, `${folder}/throughput.svg`)));
