// Builds what the peers are made of, into a folder that goes when the benchmark ends.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

import type { Peer, Program } from "../peer/peers.ts";
import { run } from "./run-command.ts";

const thisRoot = join(import.meta.dir, "../..");
const goModule = join(import.meta.dir, "../peer/go");

/** A peer that cannot be asked here. The message says what to install. */
export class Skipped extends Error {}

/** The programs of one run. Each is built once, when it is asked for first. */
export class Programs implements Disposable {
  /** Removed when this is disposed of, or the process ends; rounds may leave files there. */
  readonly folder = mkdtempSync(join(tmpdir(), "bun-plug-bench-"));
  readonly #built = new Map<string, Promise<string>>();

  constructor() {
    process.on("exit", this.#remove);
  }

  readonly #remove = (): void => rmSync(this.folder, { recursive: true, force: true });

  [Symbol.dispose](): void {
    process.off("exit", this.#remove);
    this.#remove();
  }

  /** The command that runs a round, without its job. */
  async hostOf({ host, root = thisRoot }: Peer): Promise<readonly string[]> {
    if ("go" in host) return [await this.#path(host, root)];
    return [process.execPath, join(root, "bench/measure/round.ts"), join(root, host.module)];
  }

  /** The path of the plugin's program, if the peer has one. */
  async pluginOf({ plugin, root = thisRoot }: Peer): Promise<string | undefined> {
    return plugin === undefined ? undefined : await this.#path(plugin, root);
  }

  #path(program: Program, root: string): Promise<string> {
    const source = "go" in program ? program.go : join(root, program.script);
    let path = this.#built.get(source);
    if (path === undefined) {
      path = "go" in program ? this.#buildGo(source) : this.#compile(source, root);
      // Whoever asks gets the error; nobody may be left to ask.
      path.catch(() => {});
      this.#built.set(source, path);
    }
    return path;
  }

  async #compile(script: string, root: string): Promise<string> {
    const path = join(this.folder, `${basename(dirname(script))}-${this.#built.size}`);
    await run(
      [
        process.execPath,
        "build",
        "--compile",
        "--no-compile-autoload-dotenv",
        "--no-compile-autoload-bunfig",
        "--bytecode",
        "--format=esm",
        script,
        "--outfile",
        path,
      ],
      // Where tsconfig.json says what `bun-plug` is.
      { cwd: root },
    );
    return path;
  }

  async #buildGo(source: string): Promise<string> {
    if (Bun.which("go") === null) throw new Skipped(await howToGetGo());
    const path = join(this.folder, `go-${basename(source)}`);
    await run(["go", "build", "-mod=readonly", "-trimpath", "-o", path, source], {
      cwd: goModule,
      // A workspace or flags of the user's own must not change what is built.
      env: { ...process.env, GOFLAGS: "", GOWORK: "off", CGO_ENABLED: "0" },
    });
    return path;
  }
}

async function howToGetGo(): Promise<string> {
  const [, version] =
    (await Bun.file(join(goModule, "go.mod")).text()).match(/^go (\d+\.\d+)/m) ?? [];
  return `install Go ${version} or newer (https://go.dev/dl)`;
}
