// KV.Get of 16 bytes, through bun-plug and through what it is compared with.
//
//   bun bench [--rounds N] [--seconds S]
//
// Each round of each peer runs in fresh processes; the peers take turns, so that a machine that
// slows down slows them all down. Medians of the rounds are printed, and the spread of the rate
// with 64 in flight.

import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { goAvailable, goBinary } from "../test/support/go-peer.ts";
import type { Round } from "./peer/measure.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1" },
  },
});
const roundCount = Number(flags.rounds);
const bun = process.execPath;
const root = join(import.meta.dir, "..");
const folder = mkdtempSync(join(tmpdir(), "bun-plug-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

interface Peer {
  readonly name: string;
  readonly command: readonly string[];
}

const peers = await allPeers();
const rounds = new Map<Peer, Round[]>(peers.map((peer) => [peer, []]));
for (let i = 1; i <= roundCount; i++) {
  for (const peer of peers) {
    progress(`round ${i} of ${roundCount}: ${peer.name.padEnd(50)}`);
    rounds.get(peer)?.push(JSON.parse(await run(peer.command)) as Round);
  }
}
progress("\n");
print();

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${text}`);
}

async function allPeers(): Promise<Peer[]> {
  const plugin = join(folder, "kv");
  await run([bun, "build", "--compile", "example/kv/plugin.ts", "--outfile", plugin]);
  const host = join(import.meta.dir, "peer", "host.ts");
  const ours = (name: string, path: string, ...more: string[]): Peer => ({
    name,
    command: [bun, host, path, flags.seconds, ...more],
  });
  const peers = [
    ours("bun-plug", plugin),
    ours("bun-plug, stdio", plugin, "stdio"),
    {
      name: "Bun.spawn IPC",
      command: [bun, join(import.meta.dir, "peer", "ipc.ts"), flags.seconds],
    },
  ];
  if (!goAvailable()) {
    console.error("skipped: the Go original; install Go 1.24 or newer to compare with it");
    return peers;
  }
  const goPlugin = await goBinary("example/kv");
  return [
    ...peers,
    ours("bun-plug's host, Go original's plugin", goPlugin),
    { name: "Go original", command: [await goBinary("kvbench"), goPlugin, flags.seconds] },
  ];
}

function print(): void {
  const us = (ns: number): string => (ns / 1000).toFixed(1);
  const thousands = (rate: number | undefined): string =>
    rate === undefined ? "–" : Math.round(rate / 1000).toLocaleString("en");
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, ${process.platform} ${process.arch}`);
  console.log(`Bun ${Bun.version}; medians of ${roundCount} rounds of ${flags.seconds} s\n`);
  console.log(
    "| | p50 µs | p99 µs | mean µs | 1,000 calls/s, one | 64 in flight | spread | 1,000 in flight |",
  );
  console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
  for (const [peer, all] of rounds) {
    const of = (pick: (round: Round) => number): number => median(all.map(pick));
    const many = all.map((round) => round.many);
    const hasThousand = all.every((round) => round.thousand !== undefined);
    const cells = [
      peer.name,
      us(of((round) => round.p50_ns)),
      us(of((round) => round.p99_ns)),
      us(of((round) => round.mean_ns)),
      thousands(of((round) => round.one)),
      thousands(median(many)),
      `${thousands(Math.min(...many))} to ${thousands(Math.max(...many))}`,
      thousands(hasThousand ? of((round) => round.thousand ?? 0) : undefined),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}

async function run(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (exitCode === 0) return stdout;
  throw new Error(`${command.join(" ")} exited with code ${exitCode}: ${stderr}`);
}
