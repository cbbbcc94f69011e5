// Where, and of what, a result was measured.

import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";

import manifest from "../../package.json" with { type: "json" };
import type { Peer } from "../peer/peers.ts";
import { run } from "./run-command.ts";

const root = join(import.meta.dir, "../..");

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly platform: string;
  readonly kernel: string;
  readonly bun: string;
  readonly go?: string;
}

export async function thisMachine(): Promise<Machine> {
  const go = await goVersion();
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memory_bytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    kernel: release(),
    bun: Bun.version,
    ...(go === undefined ? {} : { go }),
  };
}

export async function thisCommit(): Promise<{ readonly commit: string; readonly dirty: boolean }> {
  try {
    const commit = (await run(["git", "rev-parse", "HEAD"], { cwd: root })).trim();
    const changes = await run(["git", "status", "--porcelain"], { cwd: root });
    return { commit, dirty: changes.trim() !== "" };
  } catch {
    return { commit: "unknown", dirty: true }; // an archive without git's folder
  }
}

export async function versionOf({ version }: Peer): Promise<string> {
  if (version === "own") return manifest.version;
  if (version === "bun") return Bun.version;
  if (version === "go") return (await goVersion()) ?? "unknown";
  if ("npm" in version) {
    const path = join(root, "node_modules", version.npm, "package.json");
    return ((await Bun.file(path).json()) as { readonly version: string }).version;
  }
  const text = await Bun.file(join(root, "bench/peer/go/go.mod")).text();
  const line = text.split("\n").find((line) => line.trim().startsWith(`${version.go} `));
  return line?.trim().split(" ")[1]?.replace(/^v/, "") ?? "unknown";
}

async function goVersion(): Promise<string | undefined> {
  if (Bun.which("go") === null) return undefined;
  return (await run(["go", "version"])).match(/go(\d\S*)/)?.[1];
}
