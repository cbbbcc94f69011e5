// Two connected sockets in one process, as a host and its plugin have them.

import { dlopen, FFIType, ptr } from "bun:ffi";

const unix = 1;
const stream = 1;

const library = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";

/** Two descriptors that belong to the caller. */
export function socketPair(): [number, number] {
  const { symbols, close } = dlopen(library, {
    socketpair: {
      args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr],
      returns: FFIType.i32,
    },
  });
  const fds = new Int32Array(2);
  const result = symbols.socketpair(unix, stream, 0, ptr(fds));
  close();
  if (result !== 0) throw new Error("socketpair failed");
  return [fds[0] as number, fds[1] as number];
}
