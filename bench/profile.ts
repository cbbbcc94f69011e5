// Where does the time of a case go?
//
//   bun run bench:profile CASE [--peer NAME] [--seconds S] [--out FOLDER]
//
// Leaves CPU profiles of host and plugin (open them in the developer tools of a browser), and
// prints where most of the time was spent, and the system calls of both per call, by strace.

import { mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { cases } from "./case/cases.ts";
import { Programs } from "./harness/programs.ts";
import { run } from "./harness/run-command.ts";
import { warmUpSeconds } from "./measure/callers.ts";
import type { Job, Sample } from "./measure/sample.ts";
import { peers } from "./peer/peers.ts";
import { topFunctions } from "./report/cpu-profile.ts";

const { values: flags, positionals } = parseArgs({
  options: {
    peer: { type: "string", default: "bun-plug" },
    seconds: { type: "string", default: "3" },
    out: { type: "string", default: "profile" },
  },
  allowPositionals: true,
});
const one = cases.find(({ name }) => name === positionals[0]);
const peer = peers.find(({ name }) => name === flags.peer);
if (one === undefined || peer === undefined || "go" in peer.host) {
  console.error("usage: bun run bench:profile CASE [--peer NAME] [--seconds S] [--out FOLDER]");
  console.error("`bun bench --list` shows cases and peers; hosts in Go cannot be profiled here");
  process.exit(2);
}

const programs = new Programs();
const plugin = await programs.pluginOf(peer);
const [bun = "", ...script] = await programs.hostOf(peer);
const job: Job = {
  ...one.question,
  seconds: Number(flags.seconds),
  command: plugin === undefined ? [] : [plugin],
  variant: peer.variant,
};
const folder = resolve(flags.out, one.name.replace("/", "-"));
mkdirSync(folder, { recursive: true });
await profile();
await countSystemCalls();

async function profile(): Promise<void> {
  const options = (side: string): string => `--cpu-prof --cpu-prof-dir=${join(folder, side)}`;
  await run([bun, ...options("host").split(" "), ...script, JSON.stringify(job)], {
    cwd: folder,
    // The plugin is a Bun program too, and takes Bun's options from there.
    env: { ...process.env, BENCH_PLUGIN_BUN_OPTIONS: options("plugin") },
  });
  for (const side of ["host", "plugin"]) {
    const path = join(folder, side);
    const [file] = readdirSync(path).filter((name) => name.endsWith(".cpuprofile"));
    if (file === undefined) continue;
    console.log(`\n${side}: ${join(path, file)}`);
    for (const { name, share } of topFunctions(await Bun.file(join(path, file)).json(), 15)) {
      console.log(`${(share * 100).toFixed(1).padStart(7)} %  ${name}`);
    }
  }
}

async function countSystemCalls(): Promise<void> {
  if (Bun.which("strace") === null) {
    console.log("\nno system calls: install strace to have them counted");
    return;
  }
  const file = join(folder, "strace.txt");
  const output = await run(["strace", "-f", "-c", "-o", file, bun, ...script, JSON.stringify(job)]);
  const { metrics } = JSON.parse(output) as Sample;
  // Those of the warm-up were counted too.
  const callCount = (metrics.calls_per_s ?? 0) * (job.seconds + warmUpSeconds(job.seconds));
  console.log(`\nsystem calls of both processes${callCount > 0 ? ", for each call" : ""}: ${file}`);
  for (const line of (await Bun.file(file).text()).split("\n")) {
    const [, , , count, ...rest] = line.trim().split(/\s+/);
    const perCall = Number(count) / (callCount || 1);
    if (perCall >= 0.01) console.log(`${perCall.toFixed(2).padStart(9)}  ${rest.at(-1)}`);
  }
}
