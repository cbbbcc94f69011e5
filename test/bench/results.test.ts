// The results file, and what is made of it.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { cases } from "../../bench/case/cases.ts";
import { checkResults, readResults, rowFields } from "../../bench/harness/results.ts";
import { peersOf } from "../../bench/harness/rounds.ts";
import { metricNames } from "../../bench/measure/metrics.ts";
import { peers } from "../../bench/peer/peers.ts";
import { charts } from "../../bench/report/charts.ts";
import { fieldsTable } from "../../bench/report/fields.ts";
import { readmePart } from "../../bench/report/markdown.ts";
import { partOf, withPart } from "../../bench/report/part.ts";
import { targetsTable } from "../../bench/report/targets.ts";

const root = join(import.meta.dir, "../..");
const file = join(root, "bench/results/full.json");
const results = await readResults(file);

function text(path: string): Promise<string> {
  return Bun.file(join(root, path)).text();
}

describe("bench/results/full.json", () => {
  test("has a row for each peer in each case that is shown first, and skips none", () => {
    const wanted = cases
      .filter(({ isQuick }) => isQuick)
      .flatMap((one) =>
        peersOf(one, { peers, asksAll: false }).map((peer) => `${one.name} ${peer.name}`),
      );

    expect(results.rows.map((row) => `${row.case} ${row.peer}`)).toEqual(
      expect.arrayContaining(wanted),
    );
    expect(results.skipped).toEqual([]);
  });

  test("has a number or an error in each row", () => {
    const neither = results.rows.filter(
      (row) => row.error === undefined && metricNames.every((name) => row[name] === undefined),
    );

    expect(neither).toEqual([]);
  });
});

describe("the README", () => {
  test("has the table that the results file gives", async () => {
    expect(partOf(await text("README.md"), "bench")).toBe(
      readmePart(results, "bench/results/throughput.svg"),
    );
  });

  test("of bench/ has the targets, and what the results file says to them", async () => {
    expect(partOf(await text("bench/README.md"), "targets")).toBe(targetsTable(results.rows));
  });

  test("of bench/ lists the fields of a row, all of them", async () => {
    const table = partOf(await text("bench/README.md"), "fields");

    expect(table).toBe(fieldsTable());
    const listed = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name as string);
    expect(listed.sort()).toEqual(Object.keys(rowFields).sort());
  });

  test.each([...charts(results)])(
    "has a chart of %s that the results file gives",
    async (name, svg) => {
      expect(await text(`bench/results/${name}.svg`)).toBe(svg);
      // Right in light and in dark.
      expect(svg).toContain("prefers-color-scheme:dark");
    },
  );
});

describe("checkResults", () => {
  const [row] = results.rows;

  test.each([
    ["another schema", { ...results, schema: 2 }, "results.schema cannot be 2"],
    ["no date", { ...results, date: "today" }, 'results.date cannot be "today"'],
    ["a field that is not known", { ...results, extra: 1 }, "results.extra is unknown"],
    [
      "a machine without cores",
      { ...results, machine: { ...results.machine, cores: "two" } },
      'machine.cores cannot be "two"',
    ],
    [
      "a row whose number is a text",
      { ...results, rows: [{ ...row, p50_ns: "1" }] },
      'rows[0].p50_ns cannot be "1"',
    ],
    [
      "a row with a number that is not known",
      { ...results, rows: [{ ...row, p42_ns: 1 }] },
      "rows[0].p42_ns is unknown",
    ],
    [
      "a spread of what is no number",
      { ...results, rows: [{ ...row, spread: { p42_ns: [1, 2] } }] },
      'rows[0].spread cannot be {"p42_ns":[1,2]}',
    ],
  ])("refuses %s", (_, value, message) => {
    expect(() => checkResults(value)).toThrow(message);
  });
});

test("withPart changes what stands between the marks, and nothing else", () => {
  const before = "above\n<!-- a -->\nold\n<!-- /a -->\nbelow\n";

  expect(withPart(before, "a", "costs $1")).toBe(
    "above\n<!-- a -->\n\ncosts $1\n\n<!-- /a -->\nbelow\n",
  );
  expect(() => withPart(before, "b", "")).toThrow("there are no marks <!-- b -->");
});
