// Go programs for the interop tests: the Go original's examples, and our own
// plugins and hosts on its generated code (test/go).
//
// Builds all of them at once, on first use, into node_modules/.cache, under a
// hash of their sources and of Go's version; later runs find them there.
// Without Go the tests are skipped with a word, but under CI=true they fail.

import { beforeAll, describe, test } from "bun:test";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

const moduleDir = join(import.meta.dir, "../go");
const cacheDir = join(import.meta.dir, "../../node_modules/.cache/bun-plug-go");

/** Each name, and the Go package it is built from. */
const packages = {
  /** The original's own KV plugin. */
  "example/kv": "github.com/elliotmr/plug/example/kv",
  /** The original's own Serializer plugin; it knows none of the wrapper types. */
  "example/serializer": "github.com/elliotmr/plug/example/serializer",
  /** Plugin: Everything of interop.proto, or with the argument "decoy" its Decoy. */
  everything: "./cmd/everything",
  /** Plugin: Serializer, with the wrapper types. */
  serializerplugin: "./cmd/serializerplugin",
  kvhost: "./cmd/kvhost",
  serializerhost: "./cmd/serializerhost",
  everythinghost: "./cmd/everythinghost",
} as const;

export type GoProgram = keyof typeof packages;
export type GoHostName = Extract<GoProgram, `${string}host`>;

// Without symbol tables the cache is a third smaller; the version control stamp
// changes with every commit.
const buildFlags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"];

// Compiling protobuf from an empty build cache on two slow cores takes a minute.
const buildTimeoutMs = 5 * 60_000;

const missing = "Go is not installed; get Go 1.24 or newer from https://go.dev/dl to run these";

/** Whether `go` is in the PATH. */
export function goAvailable(): boolean {
  return Bun.which("go") !== null;
}

/**
 * The path of a Go program, which is built if need be.
 *
 * Any number of callers, in this process and in others, may ask at once.
 *
 * @throws {Error} Go is missing, or the build failed; with what Go printed.
 */
export async function goBinary(program: GoProgram): Promise<string> {
  building ??= build();
  return `${await building}/${packages[program].split("/").at(-1)}`;
}

let building: Promise<string> | undefined;

/** `describe` for tests that need Go: builds first, skips where Go is missing. */
export function describeGo(title: string, define: () => void): void {
  if (skips()) return void describe.skip(title, define);
  describe(title, () => {
    buildFirst();
    define();
  });
}

/** `test` for a test that needs Go; inside {@link describeGo} plain `test` will do. */
export function testGo(title: string, run: () => void | Promise<void>, timeoutMs?: number): void {
  if (skips()) return void test.skip(title, run);
  buildFirst();
  test(title, run, timeoutMs);
}

// In a hook, because a test's own time limit is too short for a first build.
function buildFirst(): void {
  beforeAll(async () => void (await goBinary("everything")), buildTimeoutMs);
}

function skips(): boolean {
  if (goAvailable() || process.env["CI"] === "true") return false;
  // Test files may each have their own copy of this module; say it once for all.
  const said = Symbol.for("bun-plug.test.go-missing");
  if (!(said in globalThis)) console.warn(`skipping the tests with Go programs: ${missing}`);
  Object.assign(globalThis, { [said]: true });
  return true;
}

async function build(): Promise<string> {
  if (!goAvailable()) throw new Error(missing);
  const directory = `${cacheDir}/${await sourceHash()}`;
  if (await exists(directory)) return directory;

  // Built beside its place and moved there whole, so that nobody sees half of
  // it, however many processes do this at once. The first one wins.
  const scratch = `${cacheDir}/building-${process.pid}-${crypto.randomUUID()}`;
  await mkdir(scratch, { recursive: true });
  try {
    await go(["build", ...buildFlags, "-o", `${scratch}/`, ...Object.values(packages)]);
    await rename(scratch, directory).catch(async (error: unknown) => {
      if (!(await exists(directory))) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  await removeOld();
  return directory;
}

async function sourceHash(): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(JSON.stringify([await go(["version"]), buildFlags, packages]));
  for (const path of [...new Bun.Glob("**/{*.go,go.mod,go.sum}").scanSync(moduleDir)].sort()) {
    hash.update(`\0${path}\0`);
    hash.update(await Bun.file(`${moduleDir}/${path}`).bytes());
  }
  return hash.digest("hex").slice(0, 16);
}

/** Builds of other sources are of no use after a day, and take 35 MB each. */
async function removeOld(): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    const path = `${cacheDir}/${name}`;
    const info = await stat(path).catch(() => undefined); // another process may be at it too
    if (info !== undefined && info.mtimeMs < Date.now() - 24 * 60 * 60_000) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function go(args: readonly string[]): Promise<string> {
  const child = Bun.spawn(["go", ...args], {
    cwd: moduleDir,
    // Without cgo no C compiler is needed; a go.work or flags of the user's own
    // must not change what is built.
    env: { ...process.env, GOFLAGS: "", GOWORK: "off", CGO_ENABLED: "0" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`go ${args.join(" ")} failed:\n${stderr}`);
  return stdout;
}

/** One line of what a Go host prints; the fields that a step has are its own. */
export interface GoStep {
  readonly step: string;
  readonly ok: boolean;
  /** Why the step failed; it is the last then. */
  readonly error?: string;
  /** "load": the plugin's process. */
  readonly pid?: number;
  /** A step that wants an error: the text it got. */
  readonly text?: string;
  readonly calls?: number;
  readonly bytes?: number;
  readonly data?: string;
  /** "died": how the plugin ended, and whether the host's call never returned. */
  readonly exitCode?: number;
  readonly signal?: string;
  readonly hung?: boolean;
}

export interface GoHostOptions {
  /** The plugin's executable. */
  readonly plugin: string;
  /** Calls in each of the mass steps. @defaultValue 100 */
  readonly calls?: number;
  /**
   * How the host ends: `exit` by itself; `wait` when its stdin is closed or it is
   * killed; `abrupt` with code 7 while a call runs. everythinghost only: `panic`
   * and `exit3` kill the plugin in a call, `print` lets it print on stdout,
   * `decoy` loads it again for its other service, `limit` asks for answers of up to
   * 64 KiB and one byte, and sends 5 MB.
   *
   * @defaultValue "exit"
   */
  readonly end?: "exit" | "wait" | "abrupt" | "panic" | "exit3" | "print" | "decoy" | "limit";
  /** Then it kills the plugin and exits with code 4. @defaultValue 30,000 */
  readonly timeoutMs?: number;
  /** Environment of the host, which the plugin inherits. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface GoHostResult {
  readonly steps: readonly GoStep[];
  /** 0 all went well, 1 the last step failed, 2 usage, 4 timeout, 7 abrupt; null: a signal. */
  readonly exitCode: number | null;
  readonly stderr: string;
}

/** A Go host that is running; disposing of it kills it. */
export interface GoHost extends AsyncDisposable {
  readonly pid: number;
  /** The first step of this name; rejects if the host ends without it. */
  step(name: string): Promise<GoStep>;
  /** Closes its stdin, which ends `end: "wait"`. */
  closeStdin(): void;
  kill(signal?: NodeJS.Signals): void;
  readonly finished: Promise<GoHostResult>;
}

/** Runs a Go host to its end. */
export async function runGoHost(name: GoHostName, options: GoHostOptions): Promise<GoHostResult> {
  await using host = await startGoHost(name, options);
  return await host.finished;
}

/** Starts a Go host, for tests that look at it while it runs. */
export async function startGoHost(name: GoHostName, options: GoHostOptions): Promise<GoHost> {
  const { plugin, calls = 100, end = "exit", timeoutMs = 30_000, env = process.env } = options;
  const child = Bun.spawn(
    [await goBinary(name), `-end=${end}`, `-timeout=${timeoutMs}ms`, plugin, String(calls)],
    { env: { ...env }, stdin: "pipe", stdout: "pipe", stderr: "pipe" },
  );
  const steps: GoStep[] = [];
  const waiting = new Map<string, PromiseWithResolvers<GoStep>>();
  const stderr = child.stderr.text();

  async function read(): Promise<GoHostResult> {
    for await (const step of readSteps(child.stdout)) {
      steps.push(step);
      waiting.get(step.step)?.resolve(step);
    }
    await child.exited;
    const result = { steps, exitCode: child.exitCode, stderr: await stderr };
    for (const [missed, { reject }] of waiting) {
      reject(new Error(`${name} ended without step "${missed}": ${JSON.stringify(result)}`));
    }
    waiting.clear();
    ended = result;
    return result;
  }

  let ended: GoHostResult | undefined;
  const finished = read();
  return {
    pid: child.pid,
    finished,
    async step(wanted) {
      const seen = steps.find(({ step }) => step === wanted);
      if (seen !== undefined) return seen;
      if (ended !== undefined) throw new Error(`${name} ended without step "${wanted}"`);
      const waiter = waiting.get(wanted) ?? Promise.withResolvers<GoStep>();
      waiting.set(wanted, waiter);
      return await waiter.promise;
    },
    closeStdin: () => void child.stdin.end(),
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await finished;
    },
  };
}

async function* readSteps(stream: ReadableStream<Uint8Array>): AsyncGenerator<GoStep> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as GoStep;
  }
}

/**
 * Whether a process runs. A zombie does not: a plugin of the Go original's host
 * stays one until its host ends, and where nobody reaps orphans for ever.
 */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== "linux") {
    return !(await Bun.$`ps -o stat= -p ${pid}`.nothrow().text()).startsWith("Z");
  }
  const status = await Bun.file(`/proc/${pid}/stat`)
    .text()
    .catch(() => ") Z"); // gone since
  return !/\) [ZX]/.test(status.slice(status.lastIndexOf(")")));
}
