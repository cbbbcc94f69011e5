// Long `bytes` on their way out: they are sent from where they are, and not copied into their
// message first. A message of 100 MiB would else hold everything up for as long as that copy takes.

import { PlugError } from "../error/plug-error.ts";
import type { PayloadWriter } from "./payload.ts";

/** From here on `bytes` are left out of what a codec writes. Copying less takes under 0.2 ms. */
export const gatherBytes = 1024 * 1024;

interface Part {
  /** Where it belongs, in what was written without it. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

// While a message is being gathered.
let parts: Part[] | undefined;

// Where messages are encoded from which something may be left out. If little is left of one, that is
// copied, and the memory used again: else each message would be paid for twice in garbage, which
// was half of all collections when 1 MiB went to and fro.
let scratch: Uint8Array | undefined;
const littleBytes = 64 * 1024;
// Larger ones are not kept.
const maxScratchBytes = 4 * 1024 * 1024;

// Not zeroed, and memory is taken where it is touched: what is left out of it costs nothing.
function memoryFor(byteCount: number): Uint8Array {
  if (byteCount < gatherBytes || byteCount > maxScratchBytes) return Bun.allocUnsafe(byteCount);
  if (scratch === undefined || scratch.byteLength < byteCount) {
    scratch = Bun.allocUnsafe(byteCount);
  }
  return scratch;
}

// What was written to the memory, in memory of its own.
function own(memory: Uint8Array, end: number): Uint8Array {
  if (memory !== scratch) return memory;
  if (end <= littleBytes) return memory.slice(0, end);
  scratch = undefined;
  return memory;
}

/**
 * Asked by codecs where `bytes` of {@link gatherBytes} or more belong. True: they go out by
 * themselves, and what comes next is written at `at`.
 */
export function leaveOut(bytes: Uint8Array, at: number): boolean {
  if (parts === undefined) return false;
  parts.push({ at, bytes });
  return true;
}

/**
 * Encodes a message as pieces of memory that make it up one after the other. Some of them are the
 * user's own, who must leave them alone until they have been sent.
 */
export function gather<T>(writer: PayloadWriter<T>, value: T, byteCount: number): Uint8Array[] {
  const found: Part[] = [];
  const memory = memoryFor(byteCount);
  let end: number;
  parts = found;
  try {
    end = writer.write(value, memory, 0);
  } finally {
    parts = undefined;
  }
  const buffer = own(memory, end);
  const segments: Uint8Array[] = [];
  let from = 0;
  for (const { at, bytes } of found) {
    if (at > from) segments.push(buffer.subarray(from, at));
    segments.push(bytes);
    from = at;
  }
  if (end > from) segments.push(buffer.subarray(from, end));
  const gatheredBytes = segments.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (gatheredBytes === byteCount) return segments;
  throw new PlugError(
    "internal",
    `a message of ${byteCount} bytes was written as ${gatheredBytes}`,
  );
}
