// Waits for a program's first answer, and says what became of one that gave none.

import { isPlugError, PlugError, type ProcessEnd } from "../error/plug-error.ts";
import type { AnswerReader, HostOutcome } from "../handshake/host-handshake.ts";
import type { BlockingIo } from "../process/blocking-io.ts";
import { endText } from "../process/child.ts";
import { endsWithin, killChild } from "../process/stop.ts";
import { endsBlocking, lookForEndMs, waitForOutput } from "./blocking-call.ts";
import type { CheckedLoadOptions } from "./load-options.ts";
import type { Program } from "./program.ts";
import type { Asked } from "./start-plugin.ts";

// After the output of a program has ended: how long to wait for its exit code, for an error text.
const exitCodeWithinMs = 250;
// For its last words.
const killedWithinMs = 1_000;

/** Resolves with what the program is. @throws {PlugError} Why it is not known. */
export async function outcomeWithin(
  { reader, child }: Asked,
  { startTimeoutMs, signal }: CheckedLoadOptions,
): Promise<HostOutcome> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const timers = [setTimeout(() => reject(noAnswer(reader, startTimeoutMs)), startTimeoutMs)];
  const onAbort = (): void =>
    reject(new PlugError("cancelled", "the load was given up", { cause: signal?.reason }));
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener("abort", onAbort);
  let isSettled = false;
  // A program may end while something that it started still holds its stdout.
  void child.ended.then(() => {
    if (isSettled) return;
    timers.push(setTimeout(() => reject(endedUnanswered()), exitCodeWithinMs));
  });
  try {
    return await Promise.race([reader.outcome, stopped]);
  } finally {
    isSettled = true;
    for (const timer of timers) clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** {@link outcomeWithin} for a caller who blocks. */
export function outcomeBlocking(
  { reader, child, stdio }: Asked,
  { startTimeoutMs }: CheckedLoadOptions,
  io: BlockingIo,
): HostOutcome {
  const untilMs = performance.now() + startTimeoutMs;
  let endedUntilMs = Infinity;
  for (;;) {
    if (reader.settled !== undefined) return reader.settled();
    if (stdio.takeNow(io)) continue;
    const now = performance.now();
    if (now >= untilMs) throw noAnswer(reader, startTimeoutMs);
    if (now >= endedUntilMs) throw endedUnanswered();
    if (endedUntilMs === Infinity && child.endNow(io) !== undefined) {
      endedUntilMs = now + exitCodeWithinMs;
    }
    waitForOutput(child, stdio, io, Math.min(untilMs, endedUntilMs, now + lookForEndMs) - now);
  }
}

function noAnswer({ quote }: AnswerReader, startTimeoutMs: number): PlugError {
  const said = quote === `""` ? "" : `; it has said ${quote}`;
  return new PlugError(
    "not_a_plugin",
    `the program did not answer the handshake within startTimeoutMs ${startTimeoutMs}${said}; it is no plugin, or it calls run… too late or not at all`,
  );
}

function endedUnanswered(): PlugError {
  return new PlugError("not_a_plugin", "the program ended without answering the handshake");
}

/**
 * Adds to an error what became of the process, and makes sure that nothing became of it.
 */
export async function failure(error: unknown, program: Program, asked: Asked): Promise<unknown> {
  const { child, stdio } = asked;
  if (isNoPlugin(error)) await endsWithin(child, exitCodeWithinMs);
  const end = child.end;
  stdio.close();
  await killChild(child);
  // The last lines of stderr may have come while it was being killed.
  const { stderrTail } = await child.ended;
  return described(error, program, asked, end, stderrTail);
}

/** {@link failure} for a caller who blocks. */
export function failureBlocking(
  error: unknown,
  program: Program,
  asked: Asked,
  io: BlockingIo,
): unknown {
  const { child, stdio } = asked;
  if (isNoPlugin(error)) endsBlocking(child, stdio, io, exitCodeWithinMs);
  const end = child.end;
  child.kill("SIGKILL");
  endsBlocking(child, stdio, io, killedWithinMs);
  stdio.close();
  child.closeStderr();
  return described(error, program, asked, end, child.stderrTail);
}

function isNoPlugin(error: unknown): boolean {
  return isPlugError(error) && error.code === "not_a_plugin";
}

function described(
  error: unknown,
  program: Program,
  { child, reader }: Asked,
  end: ProcessEnd | undefined,
  stderrTail: readonly string[],
): unknown {
  if (!isPlugError(error)) return error;
  // A program that printed was no plugin, whatever became of it; another one that failed may well
  // be a plugin that could not start.
  const didFail = end !== undefined && (end.signal !== null || end.exitCode !== 0);
  const couldNotStart = error.code === "not_a_plugin" && didFail && !reader.isProse;
  const code = couldNotStart ? "start_failed" : error.code;
  const parts = [`plugin "${program.name}": ${error.rawMessage}`];
  if (!child.hasFifos && [reader.quote, ...stderrTail].some(isFifoComplaint)) {
    parts.push(
      "a plugin built with the Go original needs FIFOs, and without bun:ffi this host cannot make them",
    );
  }
  if (end !== undefined) parts.push(`it ${endText(end)}`);
  // A plugin that refuses has said why, and says the same on stderr.
  const hasSaidWhy = error.origin === "peer";
  if (stderrTail.length > 0 && !hasSaidWhy)
    parts.push(`last stderr lines: ${JSON.stringify(stderrTail.join("\n"))}`);
  return new PlugError(code, parts.join("; "), {
    origin: error.origin,
    cause: error.cause,
    process: { exitCode: end?.exitCode ?? null, signal: end?.signal ?? null, stderrTail },
  });
}

// The error of the Go original where it gets no FIFOs; programs print it where they like.
function isFifoComplaint(text: string): boolean {
  return text.includes("both stdin and stdout must be pipes");
}
