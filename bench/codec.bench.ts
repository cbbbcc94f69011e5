// The codec beside other protobuf libraries, on the same messages.
//
//   bun bench/codec.bench.ts [--rounds N] [--best] [--only NAME,NAME] [--row ROW]
//
// Each library is measured in a process of its own, by mitata; the libraries take turns, so that a
// machine that slows down slows them all down. `encode` makes bytes in memory of their own, `write`
// puts them into memory that is there, which is what a connection does and none of the others can;
// `decode` may make views of what it reads. Medians of the rounds are printed, in nanoseconds, and
// how many times faster ours is than protobuf-es and than the fastest of the others; for `write`,
// than what they take to encode. `--best` prints the best of all rounds in place of the medians, for
// a machine that others use too.

import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { type Direction, directions, type Round } from "./codec/measure.ts";
import { type MessageName, messages } from "./codec/messages.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    best: { type: "boolean", default: false },
    only: { type: "string" },
    row: { type: "string" },
  },
});

const all = ["bun-plug", "protobuf-es", "protobufjs", "ts-proto", "pbf"];
const names = flags.only?.split(",") ?? all;
const rounds = new Map<string, Round[]>(names.map((name) => [name, []]));
for (let i = 1; i <= Number(flags.rounds); i++) {
  for (const name of names) {
    if (process.stderr.isTTY) process.stderr.write(`\rround ${i} of ${flags.rounds}: ${name} `);
    rounds.get(name)?.push(run(name));
  }
}
if (process.stderr.isTTY) process.stderr.write("\n");
print();

function run(name: string): Round {
  const script = join(import.meta.dir, "codec/measure.ts");
  const args = [name, flags.best ? "min" : "p50", ...(flags.row === undefined ? [] : [flags.row])];
  const child = Bun.spawnSync([process.execPath, script, ...args], { stderr: "inherit" });
  if (!child.success) throw new Error(`${name} failed`);
  return JSON.parse(child.stdout.toString()) as Round;
}

function figure(name: string, row: MessageName, direction: Direction): number {
  const values = (rounds.get(name) ?? []).flatMap((round) => round[row]?.[direction] ?? []);
  const index = flags.best ? 0 : Math.floor(values.length / 2);
  return values.sort((a, b) => a - b)[index] ?? Number.NaN;
}

function print(): void {
  console.log(
    `Bun ${Bun.version}, ${cpus()[0]?.model}; ${flags.best ? "best" : "medians"} of ${flags.rounds} rounds, ns\n`,
  );
  console.log(`| | ${names.join(" | ")} | × protobuf-es | × fastest other |`);
  console.log(`|---|${"---:|".repeat(names.length + 2)}`);
  for (const direction of directions) {
    for (const row of Object.keys(messages) as MessageName[]) {
      if (flags.row !== undefined && flags.row !== row) continue;
      const values = names.map((name) => figure(name, row, direction));
      const ours = figure("bun-plug", row, direction);
      const theirs = direction === "write" ? "encode" : direction;
      const others = names.filter((name) => name !== "bun-plug" && name !== "protobuf-es");
      const fastest = Math.min(...others.map((name) => figure(name, row, theirs)));
      const factors = [figure("protobuf-es", row, theirs), fastest].map((value) =>
        (value / ours).toFixed(1),
      );
      console.log(
        `| ${direction} ${row} | ${values.map(format).join(" | ")} | ${factors.join(" | ")} |`,
      );
    }
  }
}

function format(ns: number): string {
  if (Number.isNaN(ns)) return "";
  return ns < 100 ? ns.toFixed(1) : Math.round(ns).toLocaleString("en");
}
