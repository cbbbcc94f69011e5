import { closeSync, fstatSync, readSync, writeSync } from "node:fs";

import { describe, expect, test } from "bun:test";

import { libc, noFfiVariable } from "../../src/process/libc.ts";
import { openDescriptors } from "../support/processes.ts";

const c = libc() as NonNullable<ReturnType<typeof libc>>;
const isLinux = process.platform === "linux";

function pipe(): { readonly readFd: number; readonly writeFd: number } & Disposable {
  const ends = c.pipe();
  return {
    ...ends,
    [Symbol.dispose]() {
      closeSync(ends.readFd);
      closeSync(ends.writeFd);
    },
  };
}

describe("libc", () => {
  test("makes a FIFO: what is written to one end is read from the other", () => {
    using ends = pipe();

    writeSync(ends.writeFd, "hello");
    const buffer = Buffer.alloc(10);
    const byteCount = readSync(ends.readFd, buffer);

    expect(buffer.toString("utf8", 0, byteCount)).toBe("hello");
    expect([ends.readFd, ends.writeFd].map((fd) => fstatSync(fd).isFIFO())).toEqual([true, true]);
  });

  test.skipIf(!isLinux)("makes FIFOs whose ends do not pass to other children", () => {
    using ends = pipe();

    const child = Bun.spawnSync(["/bin/ls", "/proc/self/fd"]);

    const inChild = child.stdout.toString().split("\n").map(Number);
    expect(inChild).not.toContain(ends.readFd);
    expect(inChild).not.toContain(ends.writeFd);
  });

  test.skipIf(!isLinux)("makes an end non-blocking: a read of nothing is EAGAIN", () => {
    using ends = pipe();

    const isSet = c.setNonBlocking(ends.readFd, "read");

    expect(isSet).toBe(true);
    expect(() => readSync(ends.readFd, Buffer.alloc(10))).toThrow("EAGAIN");
  });

  test.skipIf(!isLinux)("makes the other end non-blocking: a full FIFO is EAGAIN", () => {
    using ends = pipe();
    c.setNonBlocking(ends.writeFd, "write");
    const chunk = Buffer.alloc(16 * 1024);

    let byteCount = 0;
    expect(() => {
      for (;;) byteCount += writeSync(ends.writeFd, chunk);
    }).toThrow("EAGAIN");
    expect(byteCount).toBe(65_536);
  });

  test("gives another descriptor for the same thing", () => {
    using ends = pipe();

    const copy = c.dup(ends.readFd);

    expect(copy).not.toBe(ends.readFd);
    expect(fstatSync(copy).ino).toBe(fstatSync(ends.readFd).ino);
    closeSync(copy);
  });

  test("makes a descriptor refer to what another one refers to", () => {
    using first = pipe();
    using second = pipe();

    c.dup2(first.readFd, second.readFd);

    expect(fstatSync(second.readFd).ino).toBe(fstatSync(first.readFd).ino);
  });

  test("throws for a descriptor that is not open", () => {
    expect(() => c.dup(9_999)).toThrow("dup failed");
    expect(() => c.dup2(9_999, 9_998)).toThrow("dup2 failed");
    expect(c.setNonBlocking(9_999, "read")).toBe(false);
  });

  test.skipIf(!isLinux)("leaves no descriptor behind", () => {
    const before = openDescriptors().size;

    for (let i = 0; i < 100; i++) pipe()[Symbol.dispose]();

    expect(openDescriptors().size).toBe(before);
  });

  test("is not there with PLUG_NO_FFI=1", async () => {
    const script = `
      import { libc } from "${import.meta.dir}/../../src/process/libc.ts";
      console.log(libc() === undefined);
    `;
    const child = Bun.spawn([process.execPath, "-e", script], {
      env: { ...process.env, [noFfiVariable]: "1" },
    });

    expect(await child.stdout.text()).toBe("true\n");
    expect(noFfiVariable).toBe("PLUG_NO_FFI");
  });
});
