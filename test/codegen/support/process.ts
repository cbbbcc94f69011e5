// Runs a program to its end.

export interface Ended {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: Uint8Array;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

export async function run(command: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = Bun.spawn([...command], {
    stdin: options.stdin ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  const [stdout, stderr, code] = await Promise.all([
    child.stdout.bytes(),
    child.stderr.text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
