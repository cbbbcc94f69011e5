// What is left behind: descriptors, processes.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Open descriptors of this process, as `number -> what it is`. Linux only. */
export function openDescriptors(): Map<number, string> {
  const open = new Map<number, string>();
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      open.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor of the folder itself, which is closed by now.
    }
  }
  return open;
}

/** Whether a process exists and has not ended. A zombie has. */
export function isRunning(pid: number): boolean {
  if (process.platform !== "linux") {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  }
  try {
    // pid (name) state …; the name may hold anything, so the last bracket counts.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !["Z", "X"].includes(stat.slice(stat.lastIndexOf(")") + 2)[0] as string);
  } catch {
    return false;
  }
}

/** Resolves when a condition holds; fails after `withinMs`. */
export async function eventually(
  what: string,
  condition: () => boolean,
  withinMs = 5_000,
): Promise<void> {
  const until = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > until) throw new Error(`${what}: not so within ${withinMs} ms`);
    await Bun.sleep(5);
  }
}
