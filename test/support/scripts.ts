// Scripts of test/fixture as processes: hosts, and plugins that are started by hand.

import { resolve } from "node:path";

import { eventually, isRunning } from "./processes.ts";

export interface ScriptOptions {
  readonly args?: readonly string[];
  /** On top of this process's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: "pipe" | "ignore" | Bun.BunFile;
  readonly stdout?: "pipe" | Bun.BunFile;
  /** Instead of Bun with the script's path. */
  readonly command?: readonly string[];
}

/** A script that runs; disposing of it kills it. */
export interface Script extends AsyncDisposable {
  readonly pid: number;
  readonly stdin: Bun.FileSink | undefined;
  /** Everything so far. */
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly exited: Promise<number | null>;
  /** Resolves with the rest of the first line of stdout that starts with `word`. */
  line(word: string): Promise<string>;
  /** Resolves with the exit code; fails if the script goes on after `withinMs`. */
  ends(withinMs?: number): Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

export function runScript(path: string, options: ScriptOptions = {}): Script {
  const { args = [], env = {}, stdin = "ignore", stdout = "pipe" } = options;
  const child = Bun.spawn([...(options.command ?? [process.execPath, resolve(path)]), ...args], {
    env: { ...process.env, ...env },
    stdio: [stdin, stdout, "pipe"],
  });
  const chunks: Buffer[] = [];
  let errors = "";
  const read = Promise.all([
    (async () => {
      if (stdout !== "pipe") return;
      for await (const chunk of child.stdout as ReadableStream<Uint8Array>) {
        chunks.push(Buffer.from(chunk));
      }
    })(),
    (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr as ReadableStream<Uint8Array>) {
        errors += decoder.decode(chunk, { stream: true });
      }
    })(),
  ]);
  const exited = child.exited.then(() => child.exitCode);
  const all = (): Buffer => Buffer.concat(chunks);
  return {
    pid: child.pid,
    stdin: stdin === "pipe" ? (child.stdin as Bun.FileSink) : undefined,
    exited,
    get stdout() {
      return all();
    },
    get stderr() {
      return errors;
    },
    async line(word) {
      const found = (): string | undefined =>
        all()
          .toString()
          .split("\n")
          .slice(0, -1)
          .find((line) => line.startsWith(`${word} `) || line === word);
      try {
        await eventually(`a line "${word}"`, () => found() !== undefined);
      } catch (error) {
        throw new Error(`${(error as Error).message}; stdout: ${all()}; stderr: ${errors}`);
      }
      return (found() as string).slice(word.length + 1);
    },
    async ends(withinMs = 5_000) {
      await eventually(`${path} ends`, () => !isRunning(child.pid), withinMs);
      await Promise.all([exited, read]);
      return child.exitCode;
    },
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
