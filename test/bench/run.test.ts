// The benchmarks run to their end, whatever the peers do.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { cases } from "../../bench/case/cases.ts";
import { Programs } from "../../bench/harness/programs.ts";
import { Progress } from "../../bench/harness/progress.ts";
import { readResults } from "../../bench/harness/results.ts";
import { measureAll, type Outcome, peersOf, type Plan } from "../../bench/harness/rounds.ts";
import { rowOf } from "../../bench/harness/summary.ts";
import { type Peer, peers } from "../../bench/peer/peers.ts";
import { caseTable } from "../../bench/report/table.ts";
import { temporaryFolder } from "../support/compiled.ts";

const root = join(import.meta.dir, "../..");
const silent = new Progress({ write: () => true, isTTY: false });

function peer(name: string): Peer {
  const found = peers.find((peer) => peer.name === name);
  if (found === undefined) throw new Error(`there is no peer ${name}`);
  return found;
}

/** A script of test/bench/fixture in the place of a peer's host. */
function fake(name: string): Peer {
  const { plugin: _, ...limit } = peer("limit: memcpy");
  return { ...limit, name, host: { module: `test/bench/fixture/${name}-host.ts` } };
}

function bench(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  return command("run", args, env);
}

function command(name: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const child = Bun.spawnSync([process.execPath, `bench/${name}.ts`, ...args], { cwd: root, env });
  return {
    exitCode: child.exitCode,
    stdout: child.stdout.toString(),
    stderr: child.stderr.toString(),
  };
}

describe("bun bench --quick", () => {
  // Shorter than by default, through the same code: .ci/run has the whole of it.
  const short = ["--quick", "--rounds", "2", "--seconds", "0.02", "--warm-up", "0.1"];
  const file = join(temporaryFolder(), "results.json");
  const folder = temporaryFolder();
  const names = ["bun-plug", "Bun.spawn IPC", "limit: memcpy"];
  const args = ["--peer", `^(${names.join("|")})$`, "--json", file, "--report", folder];

  test("runs to the end, and what it writes fits the schema", async () => {
    const { exitCode, stdout, stderr } = bench([...short, ...args]);
    expect({ exitCode, stderr: stderr.match(/error.*/i)?.[0] }).toEqual({
      exitCode: 0,
      stderr: undefined,
    });

    const { rows, rounds, skipped } = await readResults(file);
    const quick = cases.filter(({ isQuick }) => isQuick).map(({ name }) => name);
    expect(quick).not.toBeEmpty();
    for (const name of quick) {
      const row = rows.find((row) => row.case === name && row.peer === "bun-plug");
      expect(row?.error).toBeUndefined();
      expect(row?.rounds).toBe(2);
      expect(stdout).toContain(`\n${name}\n`);
    }
    expect([...new Set(rows.map(({ peer }) => peer))]).toEqual(names);
    expect({ rounds, skipped }).toEqual({ rounds: 2, skipped: [] });

    const page = await Bun.file(join(folder, "report.html")).text();
    expect(page).toContain("<svg");
    // It needs nothing beside it.
    expect(page).not.toMatch(/(?:src|href)=/);
  }, 60_000);

  test("names a peer as skipped, with what to install, where there is no Go", () => {
    const { exitCode, stdout } = bench([...short, "--peer", "^Go original$"], {
      ...process.env,
      PATH: "/nowhere",
    });

    expect(stdout).toMatch(/skipped: Go original; install Go \d+\.\d+ or newer/);
    expect(exitCode).toBe(0);
  });

  test("says how to see what there is when nothing fits a filter", () => {
    const { exitCode, stderr } = bench(["--filter", "no such case"]);

    expect(stderr).toContain("bun bench --list");
    expect(exitCode).toBe(2);
  });
});

describe("each command", () => {
  const commands = {
    run: "usage: bun bench ",
    agree: "usage: bun run bench:agree ",
    compare: "usage: bun run bench:compare ",
    profile: "usage: bun run bench:profile ",
    readme: "usage: bun run bench:readme ",
    targets: "usage: bun run bench:targets ",
  };

  test.each(Object.entries(commands))("says how %s is used", (name, usage) => {
    const { exitCode, stdout, stderr } = command(name, ["--nonsense", "--help"]);

    expect(stdout).toStartWith(usage);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  test.each([
    ["run", ["--nonsense"], "bun bench: unknown option '--nonsense'"],
    ["run", ["--rounds", "1.5"], 'bun bench: --rounds must be a whole number, and not "1.5"'],
    ["run", ["--seconds", "soon"], 'bun bench: --seconds must be a number above 0, and not "soon"'],
    ["run", ["--filter", "("], "bun bench: --filter: Invalid regular expression"],
    ["run", ["unary"], 'bun bench: does not know what to do with "unary"'],
    ["agree", ["one.json"], "bench:agree: name two results files"],
    ["compare", [], "bench:compare: say which commit to compare with"],
    ["compare", ["no-such-commit"], "bench:compare: there is no commit no-such-commit"],
    ["compare", ["HEAD", "--rounds", "0"], "bench:compare: --rounds must be a number above 0"],
    ["profile", ["no/case"], "bench:profile: there is no case no/case"],
    ["profile", ["unary/1", "--peer", "Go original"], "bench:profile: the host of Go original is"],
    ["readme", ["no-such-file"], "bench:readme: there is no file no-such-file"],
    ["targets", ["package.json"], "bench:targets: package.json is no results file"],
  ])("%s %j says in one line what is wrong, and ends with code 2", (name, args, message) => {
    const { exitCode, stdout, stderr } = command(name, args);

    expect(stderr).toStartWith(message);
    expect(stderr).toMatch(/^.*\n$/);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  });
});

describe("a case that is not about all peers", () => {
  const some = cases.find(({ name }) => name === "unary/16");
  if (some === undefined) throw new Error("there is no such case");

  test("leaves peers out, unless the command line names peers", () => {
    const asked = (asksAll: boolean): string[] =>
      peersOf(some, { peers, asksAll }).map(({ name }) => name);

    expect(asked(false)).toEqual(["bun-plug", "Go original", "Bun.spawn IPC"]);
    expect(asked(true)).toContain("grpc-js");
  });
});

describe("a peer that fails", () => {
  const sizes = cases.filter(({ name }) => /^up\/(16B|1KiB)$/.test(name));

  async function outcomesOf(...peers: readonly Peer[]): Promise<readonly Outcome[]> {
    const plan: Plan = {
      cases: sizes,
      peers,
      asksAll: true,
      rounds: 2,
      seconds: 0.01,
      warmUpSeconds: 0,
      graceMs: 2_000,
    };
    using programs = new Programs();
    return (await measureAll(plan, programs, silent, async () => {})).outcomes;
  }

  test("is shown with its error, and does not end the run", async () => {
    const outcomes = await outcomesOf(fake("broken"), peer("limit: memcpy"));
    const rows = await Promise.all(outcomes.map(rowOf));

    expect(rows.map(({ peer, rounds, error }) => ({ peer, rounds, error }))).toEqual(
      sizes.flatMap(() => [
        { peer: "broken", rounds: 0, error: "this peer is broken" },
        { peer: "limit: memcpy", rounds: 2, error: undefined },
      ]),
    );
    const [one] = sizes;
    if (one === undefined) throw new Error("there is no such case");
    expect(caseTable(one, rows.slice(0, 2), rows)).toContain("broken failed: this peer is broken");
  });

  test("by hanging is killed, and is not asked for more of the same", async () => {
    const outcomes = await outcomesOf(fake("hanging"));

    expect(outcomes.map(({ error }) => error)).toEqual([
      "no result within 2.03 s",
      "not asked, since up/16B had no result",
    ]);
  });
});
