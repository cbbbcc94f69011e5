// Reads what comes in on a descriptor, or on a stream that Bun made.

import { closeSync, readSync } from "node:fs";
import type { Readable } from "node:stream";
import type * as NodeStream from "node:stream";

import { plainBytes } from "./transport.ts";

/** Told what is read. The chunk is borrowed: valid until the call returns. */
export interface ByteSink {
  chunk(bytes: Uint8Array): void;
  /** Once, and last. Not called after `close`. */
  end(cause?: Error): void;
}

export interface ByteSource {
  /** Starts to read. */
  start(sink: ByteSink): void;
  /** Whether the source keeps the process running. It does unless told otherwise. */
  ref(): void;
  unref(): void;
  close(): void;
}

// While nobody waits, this is how late a print, or the end, may be noticed.
const unreferencedPollMs = 100;
const pollBytes = 64 * 1024;
// What is read before everything else has its turn.
const turnBudgetBytes = 128 * 1024;

export interface DescriptorOptions {
  readonly fd: number;
  /** Whether a read of `fd` returns at once when nothing is there. */
  readonly isNonBlocking: boolean;
}

/** Ownership: the descriptor belongs to the source, which closes it. */
export function descriptorSource(options: DescriptorOptions): ByteSource {
  return new DescriptorSource(options);
}

/** For where there is no descriptor: a stream of `Bun.spawn`. It cannot be unreferenced. */
export function streamSource(stream: ReadableStream<Uint8Array>): ByteSource {
  const readable = readableOf(stream);
  return {
    start: (sink) => feed(readable, sink),
    ref() {},
    unref() {},
    close: () => void readable.destroy(),
  };
}

// Loaded when there is a stream to read, since it takes 5 ms, which a plugin on a socket is spared.
function readableOf(stream: ReadableStream<Uint8Array>): Readable {
  const { Readable } = require("node:stream") as typeof NodeStream;
  return Readable.fromWeb(stream as never);
}

// As a node stream, because its chunks come without a promise each: 3.5 µs a round trip through a
// pipe of one process, where a reader of the web stream takes 4.6.
function feed(readable: Readable, sink: ByteSink): void {
  let turnBytes = 0;
  readable.on("data", (chunk: Uint8Array) => {
    sink.chunk(plainBytes(chunk));
    // A stream that always has more gives all of it in one turn (Bun 1.4.5), and timers and the
    // rest of the host would wait for a plugin that prints without pause.
    turnBytes += chunk.byteLength;
    if (turnBytes < turnBudgetBytes || readable.destroyed) return;
    readable.pause();
    setImmediate(() => {
      turnBytes = 0;
      readable.resume();
    });
  });
  readable.on("end", () => sink.end());
  readable.on("error", (error) => sink.end(error));
}

class DescriptorSource implements ByteSource {
  readonly #fd: number;
  readonly #isNonBlocking: boolean;
  #sink: ByteSink | undefined;
  #readable: Readable | undefined;
  #poll: ReturnType<typeof setInterval> | undefined;
  #isReferenced = true;
  #isOver = false;

  constructor({ fd, isNonBlocking }: DescriptorOptions) {
    this.#fd = fd;
    this.#isNonBlocking = isNonBlocking;
  }

  start(sink: ByteSink): void {
    this.#sink = sink;
    this.#resume();
  }

  ref(): void {
    if (this.#isReferenced) return;
    this.#isReferenced = true;
    this.#pause();
    this.#resume();
  }

  // A stream of Bun that waits cannot be unreferenced (the same in 1.4.5 for node's wrapper), so
  // there is none then: now and then somebody looks whether there is anything.
  unref(): void {
    if (!this.#isReferenced) return;
    this.#isReferenced = false;
    this.#pause();
    this.#resume();
  }

  close(): void {
    if (this.#sink === undefined && this.#isOver) return;
    this.#isOver = true;
    this.#sink = undefined;
    this.#pause();
    closeSync(this.#fd);
  }

  #pause(): void {
    this.#readable?.destroy();
    this.#readable = undefined;
    clearInterval(this.#poll);
    this.#poll = undefined;
  }

  #resume(): void {
    if (this.#sink === undefined || this.#isOver) return;
    if (this.#isReferenced) {
      const readable = readableOf(Bun.file(this.#fd).stream());
      this.#readable = readable;
      feed(readable, {
        chunk: (bytes) => this.#sink?.chunk(bytes),
        end: (cause) => {
          // Also called for a stream that was destroyed to be replaced.
          if (this.#readable === readable) this.#end(cause);
        },
      });
    } else if (this.#isNonBlocking) {
      this.#poll = setInterval(() => this.#pollOnce(), unreferencedPollMs);
      this.#poll.unref();
    }
  }

  #pollOnce(): void {
    if (this.#poll === undefined) return;
    const buffer = new Uint8Array(pollBytes);
    try {
      for (let left = turnBudgetBytes; this.#sink !== undefined && this.#poll !== undefined;) {
        if (left <= 0) {
          setImmediate(() => this.#pollOnce()).unref();
          return;
        }
        const byteCount = readSync(this.#fd, buffer);
        if (byteCount === 0) {
          this.#end(undefined);
          return;
        }
        this.#sink.chunk(buffer.subarray(0, byteCount));
        left -= byteCount;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") this.#end(error as Error);
    }
  }

  #end(cause: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pause();
    this.#sink?.end(cause);
  }
}
