import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { libc, noFfiVariable } from "../../src/process/libc.ts";
import { temporaryFolder } from "../support/compiled.ts";
import { socketPair } from "../support/socket-pair.ts";

const c = libc() as NonNullable<ReturnType<typeof libc>>;
const closed = 999;

/** What a program says that has the functions of descriptor.ts and `fds` from 3 on. */
function say(expression: string, noFfi: string, fds: readonly number[] = []): unknown {
  const { stdout, stderr } = Bun.spawnSync({
    cmd: [
      process.execPath,
      "-e",
      `import * as d from "${import.meta.dir}/../../src/process/descriptor.ts";
       const failed = (step) => { try { step(); return "no error"; } catch (error) { return error.code; } };
       console.log(JSON.stringify(${expression}));`,
    ],
    env: { ...process.env, [noFfiVariable]: noFfi },
    stdio: ["ignore", "pipe", "pipe", ...fds] as never,
  });
  try {
    return JSON.parse(stdout.toString());
  } catch {
    throw new Error(stderr.toString());
  }
}

const path = join(temporaryFolder(), "file");
writeFileSync(path, "hello");
const file = openSync(path, "r");
const device = openSync("/dev/null", "r");
const { readFd, writeFd } = c.pipe();
const [left, right] = socketPair();
afterAll(() => [file, device, readFd, writeFd, left, right].forEach((fd) => closeSync(fd)));

for (const [how, noFfi] of [
  ["with bun:ffi", "0"],
  ["without bun:ffi", "1"],
] as const) {
  describe(`descriptors, ${how}`, () => {
    test("a FIFO and a socket are pipe or socket; a file, a device and what is closed are not", () => {
      const said = say(`[3, 4, 5, 6, ${closed}].map(d.isPipeOrSocket)`, noFfi, [
        readFd,
        left,
        file,
        device,
      ]);

      expect(said).toEqual([true, true, false, false, false]);
    });

    test("a socket is one, and a FIFO, a file, a device and what is closed are not", () => {
      const said = say(`[4, 3, 5, 6, ${closed}].map(d.isSocket)`, noFfi, [
        readFd,
        left,
        file,
        device,
      ]);

      expect(said).toEqual([true, false, false, false, false]);
    });

    test("what is written to a socket is read from the other end, until it is closed", () => {
      const said = say(
        `(() => {
           const buffer = new Uint8Array(8);
           const taken = d.writeDescriptor(3, Uint8Array.of(1, 2, 3));
           const read = d.readDescriptor(4, buffer);
           d.closeDescriptor(3);
           const after = failed(() => d.writeDescriptor(3, buffer));
           return [taken, read, ...buffer.subarray(0, 4), after];
         })()`,
        noFfi,
        [left, right],
      );

      expect(said).toEqual([3, 3, 1, 2, 3, 0, "EBADF"]);
    });

    test("what cannot be done is an error that says why", () => {
      const said = say(
        `[
           failed(() => d.readDescriptor(${closed}, new Uint8Array(1))),
           failed(() => d.writeDescriptor(${closed}, new Uint8Array(1))),
           failed(() => d.closeDescriptor(${closed})),
           failed(() => d.readDescriptor(3, new Uint8Array(1))),
         ]`,
        noFfi,
        [nonBlocking()],
      );

      expect(said).toEqual(["EBADF", "EBADF", "EBADF", "EAGAIN"]);
    });
  });
}

function nonBlocking(): number {
  c.setNonBlocking(readFd, "read");
  return readFd;
}
