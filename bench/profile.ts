// Where does the time of a case go?
//
// Leaves CPU profiles of host and plugin (open them in the developer tools of a browser), and
// prints where most of the time was spent, and the system calls of both per call, by strace.

import { mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";

import { cases } from "./case/cases.ts";
import { numberOf, runCommand, UsageError } from "./harness/command-line.ts";
import { Programs } from "./harness/programs.ts";
import { run } from "./harness/run-command.ts";
import type { Job, Sample } from "./measure/sample.ts";
import { peers } from "./peer/peers.ts";
import { topFunctions } from "./report/cpu-profile.ts";

const help = `usage: bun run bench:profile CASE [options]

Leaves CPU profiles of host and plugin, and says where the time went and which system calls a call
has taken.

  --peer NAME    whom to profile (bun-plug); hosts in Go cannot be profiled here
  --seconds S    how long the load runs (3)
  --warm-up S    and how long before that (1)
  --out FOLDER   where the profiles go (profile)
  --help         say this

\`bun bench --list\` shows cases and peers.`;

await runCommand(
  {
    name: "bench:profile",
    help,
    options: {
      peer: { type: "string", default: "bun-plug" },
      seconds: { type: "string", default: "3" },
      "warm-up": { type: "string", default: "1" },
      out: { type: "string", default: "profile" },
    },
    positionals: 1,
  },
  async (flags, [name]) => {
    if (name === undefined) throw new UsageError("say which case to profile");
    const one = cases.find((one) => one.name === name);
    if (one === undefined) throw new UsageError(`there is no case ${name}`);
    const peer = peers.find(({ name }) => name === flags.peer);
    if (peer === undefined) throw new UsageError(`there is no peer ${flags.peer}`);
    if ("go" in peer.host) throw new UsageError(`the host of ${peer.name} is in Go`);
    const programs = new Programs();
    const plugin = await programs.pluginOf(peer);
    const command = await programs.hostOf(peer);
    const job: Job = {
      ...one.question,
      seconds: numberOf("seconds", flags.seconds),
      warmUpSeconds: numberOf("warm-up", flags["warm-up"]),
      command: plugin === undefined ? [] : [plugin],
      variant: peer.variant,
    };
    const folder = resolve(flags.out, one.name.replace("/", "-"));
    mkdirSync(folder, { recursive: true });
    await profile(command, job, folder);
    await countSystemCalls(command, job, folder);
  },
);

async function profile(command: readonly string[], job: Job, folder: string): Promise<void> {
  const [bun = "", ...script] = command;
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

async function countSystemCalls(
  command: readonly string[],
  job: Job,
  folder: string,
): Promise<void> {
  if (Bun.which("strace") === null) {
    console.log("\nno system calls: install strace to have them counted");
    return;
  }
  const file = join(folder, "strace.txt");
  const output = await run(["strace", "-f", "-c", "-o", file, ...command, JSON.stringify(job)]);
  const { metrics } = JSON.parse(output) as Sample;
  // Those of the warm-up were counted too.
  const callCount = (metrics.calls_per_s ?? 0) * (job.seconds + job.warmUpSeconds);
  console.log(`\nsystem calls of both processes${callCount > 0 ? ", for each call" : ""}: ${file}`);
  for (const line of (await Bun.file(file).text()).split("\n")) {
    const [, , , count, ...rest] = line.trim().split(/\s+/);
    const perCall = Number(count) / (callCount || 1);
    if (perCall >= 0.01) console.log(`${perCall.toFixed(2).padStart(9)}  ${rest.at(-1)}`);
  }
}
