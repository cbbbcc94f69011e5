// Ends a plugin process, in bounded steps.

import type { Child } from "./child.ts";
import { within } from "./within.ts";

// Even SIGKILL can be late, when the kernel is waiting for a disk.
const killedWithinMs = 5_000;

export interface StopOptions {
  /** What the process gets to end by itself, and again after SIGTERM. */
  readonly stopTimeoutMs: number;
  /** For plugins of the Go original, which do not take the end of their input for an end. */
  readonly isDeafToEnd: boolean;
}

/**
 * Waits for a process whose input has been closed; then SIGTERM, then SIGKILL, to the whole group.
 * Resolves when it is gone. What it has started and left behind in its group goes with it.
 */
export async function stopChild(child: Child, options: StopOptions): Promise<void> {
  const { stopTimeoutMs, isDeafToEnd } = options;
  if (!isDeafToEnd) await endsWithin(child, stopTimeoutMs);
  if (child.end === undefined) {
    child.kill("SIGTERM");
    await endsWithin(child, stopTimeoutMs);
  }
  child.kill("SIGKILL");
  await endsWithin(child, killedWithinMs);
}

/** Kills a process without ceremony, and waits until it is gone. */
export async function killChild(child: Child): Promise<void> {
  child.kill("SIGKILL");
  await endsWithin(child, killedWithinMs);
}

/** Resolves when the process has ended, or after the span. */
export async function endsWithin(child: Child, spanMs: number): Promise<void> {
  await within(child.ended, spanMs);
}
