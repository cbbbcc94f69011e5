// The few things that a plugin does with descriptors before its first word.
//
// Through the C library where that can be had, which takes 0.3 ms to load, where node:fs takes 1.
// What fails there is tried again with node:fs, which knows why.

import type { Stats } from "node:fs";

import { nodeFs } from "../transport/node-fs.ts";
import { libc } from "./libc.ts";

/** Reads what is there into the buffer, and waits for it if need be. Returns 0 at the end. */
export function readDescriptor(fd: number, buffer: Uint8Array): number {
  const byteCount = libc()?.read(fd, buffer) ?? -1;
  return byteCount < 0 ? nodeFs().readSync(fd, buffer) : byteCount;
}

/** Returns how much of it was taken. */
export function writeDescriptor(fd: number, bytes: Uint8Array): number {
  const byteCount = libc()?.write(fd, bytes) ?? -1;
  return byteCount < 0 ? nodeFs().writeSync(fd, bytes) : byteCount;
}

export function closeDescriptor(fd: number): void {
  if (libc()?.close(fd) !== true) nodeFs().closeSync(fd);
}

/** False also for what is closed. */
export function isSocket(fd: number): boolean {
  return libc()?.isSocket(fd) ?? isInFact(fd, (stats) => stats.isSocket());
}

/** Whether it is read from one end to the other, once, and no terminal. False also for what is closed. */
export function isPipeOrSocket(fd: number): boolean {
  const isIt = libc()?.isPipeOrSocket(fd);
  return isIt ?? isInFact(fd, (stats) => stats.isFIFO() || stats.isSocket());
}

function isInFact(fd: number, is: (stats: Stats) => boolean): boolean {
  try {
    return is(nodeFs().fstatSync(fd));
  } catch {
    return false;
  }
}
