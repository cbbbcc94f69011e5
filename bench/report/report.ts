// Charts and page as files.

import { join } from "node:path";

import type { Results } from "../harness/results.ts";
import { charts } from "./charts.ts";
import { html } from "./html.ts";

export async function writeReport(folder: string, results: Results): Promise<void> {
  for (const [name, svg] of charts(results)) await Bun.write(join(folder, `${name}.svg`), svg);
  await Bun.write(join(folder, "report.html"), html(results));
}
