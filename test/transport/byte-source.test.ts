// A descriptor as a source of bytes: whether it holds the process, and that nothing is lost when
// that changes.

import { describe, expect, test } from "bun:test";
import { closeSync } from "node:fs";

import { libc } from "../../src/process/libc.ts";
import { type ByteSource, descriptorSource } from "../../src/transport/byte-source.ts";
import { eventually, isRunning, openDescriptors } from "../support/processes.ts";
import { runScript, type Script } from "../support/scripts.ts";

const c = libc() as NonNullable<ReturnType<typeof libc>>;
const reader = "test/fixture/host/source.ts";
const lineCount = 300_000;

/** Checks that what comes in are the lines of `seq`. */
class Lines {
  next = 1;
  #rest = "";

  push(bytes: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(bytes).toString("latin1")).split("\n");
    this.#rest = lines.pop() as string;
    for (const line of lines) {
      if (line !== String(this.next)) throw new Error(`line ${this.next} is "${line}"`);
      this.next += 1;
    }
  }
}

/** Reads {@link lineCount} lines of a real process, and does something at each chunk. */
async function readLines(isNonBlocking: boolean, onChunk: (source: ByteSource) => void) {
  const { readFd, writeFd } = c.pipe();
  if (isNonBlocking) c.setNonBlocking(readFd, "read");
  const child = Bun.spawn(["seq", `${lineCount}`], { stdin: "ignore", stdout: writeFd });
  closeSync(writeFd);
  const source = descriptorSource({ fd: readFd });
  const lines = new Lines();
  const ended = Promise.withResolvers<void>();
  let failure: unknown;
  source.start({
    chunk(bytes) {
      try {
        if (failure === undefined) lines.push(bytes);
      } catch (error) {
        failure = error;
      }
      onChunk(source);
      Bun.sleepSync(1); // the writer is faster, so a turn ends before there is nothing to read
    },
    end: () => ended.resolve(),
  });
  // Something has to hold this process, where the source does not.
  const timer = setTimeout(() => ended.reject(new Error("no end within 10 s")), 10_000);
  await ended.promise.finally(() => clearTimeout(timer));
  source.close();
  await child.exited;
  if (failure !== undefined) throw failure;
  expect(lines.next - 1).toBe(lineCount);
}

describe.each([true, false])("a descriptor source, isNonBlocking %p,", (isNonBlocking) => {
  test("loses nothing of a stream in full flow when it is unreferenced and referenced", () =>
    readLines(isNonBlocking, (source) => {
      source.unref();
      source.ref();
    }));

  test("loses nothing when that is done between chunks", async () => {
    let isReferenced = true;
    await readLines(isNonBlocking, (source) => {
      setImmediate(() => {
        if (isReferenced) source.unref();
        else source.ref();
        isReferenced = !isReferenced;
      });
    });
  });

  test("goes on reading, at once, while it is unreferenced", async () => {
    const { readFd, writeFd } = c.pipe();
    if (isNonBlocking) c.setNonBlocking(readFd, "read");
    const source = descriptorSource({ fd: readFd });
    const read: string[] = [];
    const sink = { chunk: (bytes: Uint8Array) => void read.push(`${bytes}`), end() {} };
    source.start(sink);
    source.unref();
    await Bun.sleep(10);

    const startedAt = performance.now();
    await Bun.write(Bun.file(writeFd), "a");
    await eventually("it is read", () => read.length === 1);

    expect(performance.now() - startedAt).toBeLessThan(90);
    source.close();
    closeSync(writeFd);
  });
});

test.skipIf(process.platform !== "linux")(
  "a descriptor source that is unreferenced time and again leaves no descriptor",
  async () => {
    const pipes = (): number => [...openDescriptors().values()].filter(isPipe).length;
    const before = pipes();

    for (let i = 0; i < 3; i++) {
      await readLines(true, (source) => {
        source.unref();
        source.ref();
      });
    }

    await eventually("all are closed", () => pipes() <= before);
  },
);

describe("a process that reads a descriptor", () => {
  const quiet = ["sleep", "5"];
  const endless = ["yes"];

  async function inProcess(
    way: string,
    command: string[],
    body: (script: Script) => Promise<void>,
  ) {
    await using script = runScript(reader, { args: [way, ...command] });
    const pid = Number(await script.line("pid"));
    try {
      await body(script);
    } finally {
      if (command === quiet) process.kill(pid, "SIGKILL");
    }
  }

  for (const command of [quiet, endless]) {
    describe(command === quiet ? "that is quiet" : "that is endless", () => {
      test.each(["referenced", "unrefAndRef"])("stays: %s", (way) =>
        inProcess(way, command, async (script) => {
          await Bun.sleep(300);
          expect(isRunning(script.pid)).toBe(true);
        }),
      );

      test.each(["unrefBefore", "unrefAtOnce", "unrefLater", "closed"])("ends: %s", (way) =>
        inProcess(way, command, async (script) => {
          expect(await script.ends(1_500)).toBe(0);
        }),
      );
    });
  }
});

function isPipe(what: string): boolean {
  return what.startsWith("pipe:");
}
