// Builds what the peers are made of, into a folder that goes when the benchmark ends.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

import type { Peer, Program } from "../peer/peers.ts";
import { run } from "./run-command.ts";

const root = join(import.meta.dir, "../..");
const goModule = join(import.meta.dir, "../peer/go");

/** A peer that cannot be asked here. The message says what to install. */
export class Skipped extends Error {}

/** The programs of one run. Each is built once, when it is asked for first. */
export class Programs {
  readonly #folder = mkdtempSync(join(tmpdir(), "bun-plug-bench-"));
  readonly #built = new Map<string, Promise<string>>();

  constructor() {
    process.on("exit", () => rmSync(this.#folder, { recursive: true, force: true }));
  }

  /** The command that runs a round, without its job. */
  async hostOf({ host }: Peer): Promise<readonly string[]> {
    if ("go" in host) return [await this.#path(host)];
    return [process.execPath, join(root, "bench/measure/round.ts"), join(root, host.module)];
  }

  /** The path of the plugin's program, if the peer has one. */
  async pluginOf({ plugin }: Peer): Promise<string | undefined> {
    return plugin === undefined ? undefined : await this.#path(plugin);
  }

  #path(program: Program): Promise<string> {
    const source = "go" in program ? program.go : program.script;
    let path = this.#built.get(source);
    if (path === undefined) {
      path = "go" in program ? this.#buildGo(source) : this.#compile(source);
      // Whoever asks gets the error; nobody may be left to ask.
      path.catch(() => {});
      this.#built.set(source, path);
    }
    return path;
  }

  async #compile(script: string): Promise<string> {
    const path = join(this.#folder, basename(dirname(script)));
    await run(
      [
        process.execPath,
        "build",
        "--compile",
        "--no-compile-autoload-dotenv",
        "--no-compile-autoload-bunfig",
        script,
        "--outfile",
        path,
      ],
      { cwd: root },
    );
    return path;
  }

  async #buildGo(source: string): Promise<string> {
    if (Bun.which("go") === null) throw new Skipped("install Go 1.24 or newer (https://go.dev/dl)");
    const path = join(this.#folder, `go-${basename(source)}`);
    await run(["go", "build", "-mod=readonly", "-trimpath", "-o", path, source], {
      cwd: goModule,
      // A workspace or flags of the user's own must not change what is built.
      env: { ...process.env, GOFLAGS: "", GOWORK: "off", CGO_ENABLED: "0" },
    });
    return path;
  }
}
