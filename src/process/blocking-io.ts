// What a caller needs of the C library who waits without the event loop.
//
// Apart from libc.ts, since few hosts block, and each symbol costs time to load.

import { constants } from "node:os";

import type { ProcessEnd } from "../error/plug-error.ts";
import type { DescriptorIo } from "../transport/transport.ts";
import { openLibrary } from "./libc.ts";

/** How a process ended, without its words. */
export type ExitStatus = Pick<ProcessEnd, "exitCode" | "signal">;

export interface Readiness {
  readonly fd: number;
  /** Whether room to write is waited for, and not something to read. */
  readonly toWrite: boolean;
}

export interface BlockingIo extends DescriptorIo {
  /**
   * Waits until one of the descriptors is ready, or has ended, or the span is over, with no system
   * call meanwhile. Returns which are. A signal may end the wait early.
   */
  wait(descriptors: readonly Readiness[], spanMs: number): readonly boolean[];

  /**
   * How a child of this process ended, or undefined if it runs, or somebody has asked the kernel for
   * good, as Bun does. It stays there to be asked for.
   */
  exitStatus(pid: number): ExitStatus | undefined;
}

// poll(2); its events are the same everywhere.
const pollIn = 0x1;
const pollOut = 0x4;
const pollFdBytes = 8;
const eventsAt = 4;
const readyAt = 6;

// waitid(2), and where its answer is.
const byPid = 1;
const wait = { noHang: 1, exited: 4, noReap: { linux: 0x01000000, darwin: 0x20 } };
const infoBytes = 128;
const info = {
  codeAt: 8,
  pidAt: { linux: 12 + 4, darwin: 12 },
  statusAt: { linux: 24, darwin: 20 },
};
const exitedNormally = 1;

let loaded: BlockingIo | undefined | null = null;

/** The calls, or undefined where bun:ffi is not to be had. */
export function blockingIo(): BlockingIo | undefined {
  if (loaded === null) loaded = load();
  return loaded;
}

function load(): BlockingIo | undefined {
  const system = process.platform === "darwin" ? "darwin" : "linux";
  const library = openLibrary({
    read: { args: ["i32", "ptr", "u32"], returns: "i32" },
    poll: { args: ["ptr", "u32", "i32"], returns: "i32" },
    waitid: { args: ["i32", "i32", "ptr", "i32"], returns: "i32" },
  });
  if (library === undefined) return undefined;
  const { ptr, symbols } = library;
  const one = new DataView(new ArrayBuffer(pollFdBytes));
  const isReadable = (fd: number): boolean => {
    one.setInt32(0, fd, true);
    one.setInt16(eventsAt, pollIn, true);
    return symbols.poll(ptr(one), 1, 0) > 0;
  };
  const results = new DataView(new ArrayBuffer(infoBytes));
  return {
    // Nothing can be made non-blocking on macOS, see libc.ts.
    read: (fd, buffer) =>
      system === "darwin" && !isReadable(fd)
        ? -1
        : symbols.read(fd, ptr(buffer), buffer.byteLength),
    wait(descriptors, spanMs) {
      const table = new DataView(new ArrayBuffer(Math.max(1, descriptors.length) * pollFdBytes));
      for (const [i, { fd, toWrite }] of descriptors.entries()) {
        table.setInt32(i * pollFdBytes, fd, true);
        table.setInt16(i * pollFdBytes + eventsAt, toWrite ? pollOut : pollIn, true);
      }
      symbols.poll(ptr(table), descriptors.length, Math.ceil(spanMs));
      return descriptors.map((_, i) => table.getInt16(i * pollFdBytes + readyAt, true) !== 0);
    },
    exitStatus(pid) {
      results.setInt32(info.pidAt[system], 0, true);
      const flags = wait.exited | wait.noHang | wait.noReap[system];
      if (symbols.waitid(byPid, pid, ptr(results), flags) !== 0) return undefined;
      if (results.getInt32(info.pidAt[system], true) !== pid) return undefined;
      const status = results.getInt32(info.statusAt[system], true);
      return results.getInt32(info.codeAt, true) === exitedNormally
        ? { exitCode: status, signal: null }
        : { exitCode: null, signal: signalName(status) };
    },
  };
}

function signalName(number: number): string {
  const names = Object.entries(constants.signals);
  return names.find(([, value]) => value === number)?.[0] ?? String(number);
}
