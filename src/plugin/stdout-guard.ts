// Keeps a plugin's prints away from the protocol, where the two share stdin and stdout.

import type * as NodeConsole from "node:console";

import { closeDescriptor, writeDescriptor } from "../process/descriptor.ts";
import { libc } from "../process/libc.ts";
import { nodeFs } from "../transport/node-fs.ts";

const retryMs = 1;

export interface ProtocolDescriptors {
  readonly readFd: number;
  readonly writeFd: number;
  readonly isNonBlocking: boolean;
}

/**
 * Moves the protocol to descriptors of its own. From now on stdout is stderr, for native code too,
 * and stdin is empty, also for children that inherit them.
 */
export function guardStdio(): ProtocolDescriptors {
  const c = libc();
  if (c === undefined) {
    guardInScript();
    return { readFd: 0, writeFd: 1, isNonBlocking: false };
  }
  const readFd = c.dup(0);
  const writeFd = c.dup(1);
  const nothing = nodeFs().openSync("/dev/null", "r");
  c.dup2(nothing, 0);
  closeDescriptor(nothing);
  c.dup2(2, 1);
  return { readFd, writeFd, isNonBlocking: c.setNonBlocking(writeFd, "write") };
}

/**
 * Writes all of it without giving way to other code, also to a descriptor that is non-blocking and
 * takes less at once: a FIFO holds 64 KiB, and an answer may be longer.
 *
 * @throws {Error} What the kernel says, such as that nobody reads.
 */
export function writeWhole(fd: number, bytes: Uint8Array): void {
  let at = 0;
  while (at < bytes.byteLength) {
    try {
      at += writeDescriptor(fd, bytes.subarray(at));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Bun.sleepSync(retryMs); // until the host has read
    }
  }
}

// Without the C library: the ways that scripts have to print. Native code is not reached.
function guardInScript(): void {
  // Loaded here, since it takes 4 ms, and hardly anybody needs it.
  const { Console } = require("node:console") as typeof NodeConsole;
  const toStderr = new Console(process.stderr, process.stderr);
  for (const name of [
    "log",
    "info",
    "debug",
    "table",
    "dir",
    "group",
    "count",
    "timeEnd",
    "timeLog",
  ] as const) {
    console[name] = toStderr[name].bind(toStderr);
  }
  process.stdout.write = process.stderr.write.bind(process.stderr);
  const { stdout, write } = Bun;
  const bun = Bun as unknown as Record<string, unknown>;
  bun["write"] = (to: unknown, ...rest: unknown[]) =>
    (write as (...all: unknown[]) => unknown)(to === stdout ? Bun.stderr : to, ...rest);
  stdout.writer = (...options) => Bun.stderr.writer(...options);
}
