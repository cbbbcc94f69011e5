// The few calls of the C library that Bun has no word for.
//
// bun:ffi is experimental, so it is loaded only when it is needed, once per process, and everything
// here has a way without it.

import type * as Ffi from "bun:ffi";
import { closeSync, ftruncateSync } from "node:fs";

/** Set to `1` to do without bun:ffi. */
export const noFfiVariable = "PLUG_NO_FFI";

// Values of Linux; fcntl is not called elsewhere.
const cloexecFlag = 0o2000000;
const setFlags = 4;
const nonBlockFlag = 0o4000;
const memfdFlags = 0x1 | 0x2; // close on exec, allow sealing
const addSeals = 1033;
const sizeSeals = 0x1 | 0x2 | 0x4; // seal the seals, shrink, grow
const accessFlags = { read: 0, write: 1 } as const;

const linuxNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"];
const darwinNames = ["libSystem.B.dylib", "libSystem.dylib"];

interface Libc {
  /** A FIFO without a name; its ends do not pass to other children. */
  pipe(): { readonly readFd: number; readonly writeFd: number };
  /** Makes `fd` refer to what `other` refers to. */
  dup2(other: number, fd: number): void;
  /** Another descriptor for the same thing. */
  dup(fd: number): number;
  /**
   * A descriptor of new memory, all zero, whose size nobody can change; it does not pass to other
   * children. Undefined where the system has none.
   */
  sealedMemory(byteLength: number): number | undefined;
  /** Makes one end of a FIFO non-blocking. Returns false where that cannot be done. */
  setNonBlocking(fd: number, access: keyof typeof accessFlags): boolean;
}

let loaded: Libc | undefined | null = null;

/** The C library, or undefined where bun:ffi is not to be had. */
export function libc(): Libc | undefined {
  if (loaded === null) loaded = load();
  return loaded;
}

function load(): Libc | undefined {
  const ffi = loadFfi();
  if (ffi === undefined) return undefined;
  return process.platform === "linux" ? loadLinux(ffi) : loadDarwin(ffi);
}

function loadFfi(): typeof Ffi | undefined {
  if (process.env[noFfiVariable] === "1") return undefined;
  try {
    return require("bun:ffi") as typeof Ffi;
  } catch {
    return undefined; // a Bun without it
  }
}

function loadLinux({ dlopen, FFIType, ptr }: typeof Ffi): Libc | undefined {
  const symbols = open(dlopen, linuxNames, {
    pipe2: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
    dup: { args: [FFIType.i32], returns: FFIType.i32 },
    dup2: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    // Variadic in C; on Linux its arguments travel as if it were not.
    fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    memfd_create: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  });
  if (symbols === undefined) return undefined;
  return {
    pipe() {
      const fds = new Int32Array(2);
      check("pipe2", symbols.pipe2(ptr(fds), cloexecFlag));
      return { readFd: fds[0] as number, writeFd: fds[1] as number };
    },
    dup: (fd) => check("dup", symbols.dup(fd)),
    dup2: (other, fd) => void check("dup2", symbols.dup2(other, fd)),
    sealedMemory(byteLength) {
      const name = new TextEncoder().encode("bun-plug\0");
      const fd = symbols.memfd_create(ptr(name), memfdFlags);
      if (fd < 0) return undefined;
      try {
        ftruncateSync(fd, byteLength);
        check("fcntl", symbols.fcntl(fd, addSeals, sizeSeals));
        return fd;
      } catch {
        closeSync(fd);
        return undefined;
      }
    },
    setNonBlocking: (fd, access) =>
      symbols.fcntl(fd, setFlags, nonBlockFlag | accessFlags[access]) >= 0,
  };
}

// Bun's spawn on macOS passes on only the descriptors that it is given, so close-on-exec, which has
// no pipe2 there, is not missed. fcntl is variadic, which bun:ffi cannot call on arm64.
function loadDarwin({ dlopen, FFIType, ptr }: typeof Ffi): Libc | undefined {
  const symbols = open(dlopen, darwinNames, {
    pipe: { args: [FFIType.ptr], returns: FFIType.i32 },
    dup: { args: [FFIType.i32], returns: FFIType.i32 },
    dup2: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  });
  if (symbols === undefined) return undefined;
  return {
    pipe() {
      const fds = new Int32Array(2);
      check("pipe", symbols.pipe(ptr(fds)));
      return { readFd: fds[0] as number, writeFd: fds[1] as number };
    },
    dup: (fd) => check("dup", symbols.dup(fd)),
    dup2: (other, fd) => void check("dup2", symbols.dup2(other, fd)),
    sealedMemory: () => undefined,
    setNonBlocking: () => false,
  };
}

/**
 * Other calls of the C library, or undefined where bun:ffi is not to be had. Loaded anew with every
 * call of this: whoever asks keeps them.
 */
export function openLibrary<S extends Record<string, Ffi.FFIFunction>>(
  symbolsOf: (ffi: typeof Ffi) => S,
) {
  const ffi = loadFfi();
  if (ffi === undefined) return undefined;
  const names = process.platform === "linux" ? linuxNames : darwinNames;
  const symbols = open(ffi.dlopen, names, symbolsOf(ffi));
  return symbols && { symbols, ptr: ffi.ptr };
}

function open<S extends Record<string, Ffi.FFIFunction>>(
  dlopen: typeof Ffi.dlopen,
  names: readonly string[],
  symbols: S,
) {
  for (const name of names) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // Another C library, or no bun:ffi: the next name, or none.
    }
  }
  return undefined;
}

function check(name: string, result: number): number {
  if (result < 0) throw new Error(`${name} failed; too many open files?`);
  return result;
}
