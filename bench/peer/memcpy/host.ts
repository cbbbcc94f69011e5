// A limit, and no peer: a copy into shared memory, a copy out of it, and nobody who is told.

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";

import type { Subject } from "../subject.ts";

const largestBytes = 64 * 1024 * 1024;

export async function open(): Promise<Subject> {
  const folder = mkdtempSync(join(sharedFolder(), "bun-plug-bench-"));
  const path = join(folder, "shared");
  writeFileSync(path, "");
  truncateSync(path, largestBytes);
  const shared = Bun.mmap(path, { shared: true });
  rmSync(folder, { recursive: true });
  let byteLength = 0;
  const copyIn = (value: Uint8Array): void => {
    shared.set(value);
    byteLength = value.byteLength;
  };
  // Into memory that is there, as a reader with a buffer of its own would.
  let out = new Uint8Array();
  const copyOut = (): Uint8Array => {
    if (out.byteLength !== byteLength) out = new Uint8Array(byteLength);
    out.set(shared.subarray(0, byteLength));
    return out;
  };
  return {
    transport: "shared memory",
    pid: undefined,
    get: async () => copyOut(),
    put: async (_key, value) => copyIn(value),
    async echo(data) {
      copyIn(data);
      return copyOut();
    },
    async [Symbol.asyncDispose]() {},
  };
}

function sharedFolder(): string {
  return process.platform === "linux" ? "/dev/shm" : tmpdir();
}
