// Memory that the host shares with one plugin.

import type * as Os from "node:os";

import { nodeFs } from "../transport/node-fs.ts";
import { closeDescriptor } from "./descriptor.ts";
import { libc } from "./libc.ts";

export interface SharedMemory {
  /** All zero. */
  readonly bytes: Uint8Array;
  /** For the child. Belongs to the caller, and may be closed once the child has it. */
  readonly fd: number;
}

/**
 * Memory that can be mapped through its descriptor by whoever has it, or undefined where there is
 * none to be had. It takes room only where it is touched.
 *
 * On Linux it is a memfd whose size is sealed, so that the other side cannot shrink it under this
 * one, which would be the end of the process; nothing stands in the file system. Elsewhere it is a
 * file of its own, mode 0600, that has lost its name before anybody else can see it.
 */
export function createSharedMemory(byteLength: number): SharedMemory | undefined {
  let fd: number | undefined;
  try {
    fd = libc()?.sealedMemory(byteLength) ?? namelessFile(byteLength);
    return { bytes: mapMemory(fd), fd };
  } catch {
    if (fd !== undefined) closeDescriptor(fd);
    return undefined;
  }
}

/** Maps what a descriptor refers to, for as long as somebody has the result. */
export function mapMemory(fd: number): Uint8Array {
  const path = process.platform === "linux" ? `/proc/self/fd/${fd}` : `/dev/fd/${fd}`;
  return Bun.mmap(path, { shared: true });
}

function namelessFile(byteLength: number): number {
  // Loaded here, since a plugin that maps memory would load it too.
  const { tmpdir } = require("node:os") as typeof Os;
  const { openSync, unlinkSync, ftruncateSync } = nodeFs();
  const path = `${tmpdir()}/bun-plug-${process.pid}-${crypto.randomUUID()}`;
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  ftruncateSync(fd, byteLength);
  return fd;
}
