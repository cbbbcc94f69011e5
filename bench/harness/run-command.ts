// Runs a command to its end, or for so long.

// What is to be cleaned up is so when the process ends, which a signal alone would not let happen.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(1));
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Then the command and all that it has started are killed. @defaultValue never */
  readonly timeoutMs?: number;
}

/** It had no result in its time. */
export class Late extends Error {}

// An error with all that a program printed would fill the screen.
const maxErrorChars = 400;

/**
 * Resolves with what it printed on stdout.
 *
 * @throws {Error} It failed, or took too long; with the end of what it printed on stderr.
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { timeoutMs } = options;
  const child = Bun.spawn([...command], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, so that a plugin of a host that is killed goes with it.
    detached: true,
  });
  let isLate = false;
  const killAll = (): void => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // Nobody is left.
    }
  };
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          isLate = true;
          killAll();
        }, timeoutMs);
  process.on("exit", killAll);
  try {
    const [stdout, stderr] = await Promise.all([
      // A plugin that outlives its host may hold them open, so it must not outlive it.
      child.exited.then(killAll).then(() => child.stdout.text()),
      child.stderr.text(),
      child.exited,
    ]);
    if (isLate) throw new Late(`no result within ${(timeoutMs ?? 0) / 1000} s`);
    if (child.exitCode === 0) return stdout;
    throw new Error(lastWords(stderr) ?? `ended with ${child.signalCode ?? child.exitCode}`);
  } finally {
    clearTimeout(timer);
    process.off("exit", killAll);
  }
}

/** The line that says what went wrong, if there is one; else the end of what was said. */
function lastWords(stderr: string): string | undefined {
  const plain = Bun.stripANSI(stderr).trim();
  const line = plain.match(/^(?:error: |panic: )(.*)$/m)?.[1] ?? plain.slice(-maxErrorChars);
  // A peer that has lost its place in the stream quotes bytes that are none of its words.
  const [words = ""] = line.split(/[^\P{C}\n]|\ufffd/u);
  return words === "" ? undefined : words.slice(0, maxErrorChars).trim();
}
