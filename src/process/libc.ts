// The few calls of the C library that Bun has no word for.
//
// bun:ffi is experimental, so it is loaded only when it is needed, once per process, and everything
// here has a way without it.

import type * as Ffi from "bun:ffi";

import { nodeFs } from "../transport/node-fs.ts";

/** Set to `1` to do without bun:ffi. */
export const noFfiVariable = "PLUG_NO_FFI";

// Values of Linux; fcntl is not called elsewhere.
const cloexecFlag = 0o2000000;
const getDescriptorFlags = 1;
const setFlags = 4;
const nonBlockFlag = 0o4000;
const memfdFlags = 0x1 | 0x2; // close on exec, allow sealing
const addSeals = 1033;
const sizeSeals = 0x1 | 0x2 | 0x4; // seal the seals, shrink, grow
// Of getsockopt and lseek, on Linux.
const socketLevel = 1;
const socketType = 3;
const fromCurrent = 1;
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
  /** Bytes that were read, 0 at the end, or -1 if that failed. Waits for what is to come. */
  read(fd: number, buffer: Uint8Array): number;
  /** Bytes that were taken, or -1 if that failed. */
  write(fd: number, bytes: Uint8Array): number;
  /** Whether it is closed now. */
  close(fd: number): boolean;
  /** False also for what is closed; undefined where that cannot be said. */
  isSocket(fd: number): boolean | undefined;
  /** Neither a file nor a device nor a terminal; undefined where that cannot be said. */
  isPipeOrSocket(fd: number): boolean | undefined;
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
  const ffi = ffiOfBun();
  if (ffi === undefined) return undefined;
  return process.platform === "linux" ? loadLinux(ffi) : loadDarwin(ffi);
}

// What bun:ffi exports is in Bun 1.4.5 a member of Bun, of which it says nothing: the same
// functions, but for an error that is returned and not thrown. Loading the module for them takes a
// plugin 0.4 ms.
function ffiOfBun(): FfiFunctions | undefined {
  if (process.env[noFfiVariable] === "1") return undefined;
  const { FFI } = Bun as unknown as { readonly FFI?: Partial<FfiFunctions> };
  if (typeof FFI?.dlopen === "function" && typeof FFI.ptr === "function") {
    return FFI as FfiFunctions;
  }
  try {
    return require("bun:ffi") as typeof Ffi;
  } catch {
    return undefined; // a Bun without it
  }
}

type FfiFunctions = Pick<typeof Ffi, "dlopen" | "ptr">;

function loadLinux({ dlopen, ptr }: FfiFunctions): Libc | undefined {
  const symbols = open(dlopen, linuxNames, {
    pipe2: { args: ["ptr", "i32"], returns: "i32" },
    dup: { args: ["i32"], returns: "i32" },
    dup2: { args: ["i32", "i32"], returns: "i32" },
    // Variadic in C; on Linux its arguments travel as if it were not.
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
    memfd_create: { args: ["ptr", "u32"], returns: "i32" },
    read: { args: ["i32", "ptr", "u32"], returns: "i32" },
    write: { args: ["i32", "ptr", "u32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
    isatty: { args: ["i32"], returns: "i32" },
    lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
    getsockopt: {
      args: ["i32", "i32", "i32", "ptr", "ptr"],
      returns: "i32",
    },
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
    read: (fd, buffer) => symbols.read(fd, ptr(buffer), buffer.byteLength),
    write: (fd, bytes) => symbols.write(fd, ptr(bytes), bytes.byteLength),
    close: (fd) => symbols.close(fd) === 0,
    isSocket(fd) {
      const type = new Int32Array(1);
      const byteLength = Int32Array.of(type.byteLength);
      return symbols.getsockopt(fd, socketLevel, socketType, ptr(type), ptr(byteLength)) === 0;
    },
    isPipeOrSocket: (fd) =>
      symbols.fcntl(fd, getDescriptorFlags, 0) >= 0 &&
      symbols.lseek(fd, 0, fromCurrent) < 0 &&
      symbols.isatty(fd) === 0,
    sealedMemory(byteLength) {
      const name = new TextEncoder().encode("bun-plug\0");
      const fd = symbols.memfd_create(ptr(name), memfdFlags);
      if (fd < 0) return undefined;
      try {
        nodeFs().ftruncateSync(fd, byteLength);
        check("fcntl", symbols.fcntl(fd, addSeals, sizeSeals));
        return fd;
      } catch {
        symbols.close(fd);
        return undefined;
      }
    },
    setNonBlocking: (fd, access) =>
      symbols.fcntl(fd, setFlags, nonBlockFlag | accessFlags[access]) >= 0,
  };
}

// Bun's spawn on macOS passes on only the descriptors that it is given, so close-on-exec, which has
// no pipe2 there, is not missed. fcntl is variadic, which bun:ffi cannot call on arm64.
function loadDarwin({ dlopen, ptr }: FfiFunctions): Libc | undefined {
  const symbols = open(dlopen, darwinNames, {
    pipe: { args: ["ptr"], returns: "i32" },
    dup: { args: ["i32"], returns: "i32" },
    dup2: { args: ["i32", "i32"], returns: "i32" },
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
    // By node:fs, which knows this system's numbers and structures.
    read: () => -1,
    write: () => -1,
    close: () => false,
    isSocket: () => undefined,
    isPipeOrSocket: () => undefined,
    sealedMemory: () => undefined,
    setNonBlocking: () => false,
  };
}

/**
 * Other calls of the C library, or undefined where bun:ffi is not to be had. Loaded anew with every
 * call of this: whoever asks keeps them.
 */
export function openLibrary<const S extends Record<string, Ffi.FFIFunction>>(symbols: S) {
  const ffi = ffiOfBun();
  if (ffi === undefined) return undefined;
  const names = process.platform === "linux" ? linuxNames : darwinNames;
  const opened = open(ffi.dlopen, names, symbols);
  return opened && { symbols: opened, ptr: ffi.ptr };
}

function open<const S extends Record<string, Ffi.FFIFunction>>(
  dlopen: typeof Ffi.dlopen,
  names: readonly string[],
  symbols: S,
) {
  for (const name of names) {
    try {
      const library = dlopen(name, symbols);
      if (!(library instanceof Error)) return library.symbols;
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
