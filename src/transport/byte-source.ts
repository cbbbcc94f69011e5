// Reads what comes in on a descriptor, or on a stream that Bun made.

import type { Readable } from "node:stream";
import type * as NodeStream from "node:stream";

import { nodeFs } from "./node-fs.ts";
import { type DescriptorIo, plainBytes } from "./transport.ts";

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

/** A source that a caller can read who blocks the process. */
export interface BlockingSource extends ByteSource {
  /** Undefined once it has ended or been closed. */
  readonly readFd: number | undefined;
  /**
   * Reads what is there now. Returns whether there was something. Where the event loop reads too, it
   * is handed on when the caller has returned, behind what Bun has read before.
   */
  readNow(io: DescriptorIo): boolean;
  /** Hands on what has been read. */
  giveNow(): void;
  /** From now on the event loop reads. Does nothing if it does already. */
  leaveToLoop(): void;
  /** Whether it does. */
  readonly isLeftToLoop: boolean;
}

// What is read before everything else has its turn.
const turnBudgetBytes = 128 * 1024;
// What is read at a time while the process is blocked.
const blockingReadBytes = 16 * 1024;
// What has been read so and not handed on yet may be so much.
const maxHeldBytes = 256 * 1024;
// More microtasks than a chunk needs on its way from Bun's reader to the sink.
const handOnHops = 32;

export interface DescriptorOptions {
  /** Whether a read of it returns at once when nothing is there or not: either will do. */
  readonly fd: number;
  /**
   * Only `readNow` reads, until `leaveToLoop` is called. The descriptor must not block.
   *
   * @defaultValue false
   */
  readonly isBlocking?: boolean | undefined;
}

/** Ownership: the descriptor belongs to the source, which closes it. */
export function descriptorSource(options: DescriptorOptions): BlockingSource {
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

/** Whether what it is about keeps the process running. */
interface Reference {
  ref(): void;
  unref(): void;
}

// As a node stream, because its chunks come without a promise each: 3.5 µs a round trip through a
// pipe of one process, where a reader of the web stream takes 4.6. And because that can be
// unreferenced while it waits, so nothing is ever taken away from under bytes that it has read.
function feed(readable: Readable, sink: ByteSink): Reference {
  let turnBytes = 0;
  let isReferenced = true;
  let nextTurn: NodeJS.Immediate | undefined;
  readable.on("data", (chunk: Uint8Array) => {
    sink.chunk(plainBytes(chunk));
    // A stream that always has more gives all of it in one turn (Bun 1.4.5), and timers and the
    // rest of the host would wait for a plugin that prints without pause.
    turnBytes += chunk.byteLength;
    if (turnBytes < turnBudgetBytes || readable.destroyed) return;
    readable.pause();
    nextTurn = setImmediate(() => {
      nextTurn = undefined;
      turnBytes = 0;
      readable.resume();
    });
    if (!isReferenced) nextTurn.unref();
  });
  readable.on("end", () => sink.end());
  readable.on("error", (error) => sink.end(error));
  const { ref, unref } = readable as Readable & Partial<Reference>;
  // Bun counts references from 0, and heeds an unref() only if it takes back a ref() (1.4.5).
  ref?.call(readable);
  return {
    ref() {
      isReferenced = true;
      ref?.call(readable);
      nextTurn?.ref();
    },
    unref() {
      isReferenced = false;
      unref?.call(readable);
      nextTurn?.unref();
    },
  };
}

class DescriptorSource implements BlockingSource {
  readonly #fd: number;
  #isBlocking: boolean;
  #sink: ByteSink | undefined;
  #readable: Readable | undefined;
  #reference: Reference | undefined;
  #isReferenced = true;
  #isClosed = false;
  #isEnded = false;
  // Read while the process was blocked, behind what Bun may have read before and not handed on yet.
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor({ fd, isBlocking = false }: DescriptorOptions) {
    this.#fd = fd;
    this.#isBlocking = isBlocking;
  }

  start(sink: ByteSink): void {
    if (this.#isClosed) return;
    this.#sink = sink;
    if (!this.#isBlocking) this.#startLoop();
  }

  leaveToLoop(): void {
    if (!this.#isBlocking) return;
    this.#isBlocking = false;
    if (this.#sink !== undefined && !this.#isEnded) this.#startLoop();
  }

  get isLeftToLoop(): boolean {
    return !this.#isBlocking;
  }

  get readFd(): number | undefined {
    return this.#isClosed || this.#isEnded || this.#sink === undefined ? undefined : this.#fd;
  }

  readNow(io: DescriptorIo): boolean {
    if (this.readFd === undefined) return false;
    const chunk = new Uint8Array(blockingReadBytes);
    const byteCount = io.read(this.#fd, chunk);
    if (byteCount < 0) return false;
    if (this.#isBlocking) {
      if (byteCount > 0) this.#sink?.chunk(chunk.subarray(0, byteCount));
      else this.#end(undefined);
      return true;
    }
    // The loop sees the end by itself; here it is only not looked for any more.
    if (byteCount === 0) this.#isEnded = true;
    else this.#hold(chunk.subarray(0, byteCount));
    return true;
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.byteLength;
    if (this.#heldBytes > maxHeldBytes) this.giveNow();
    else if (this.#held.length === 1) this.#giveSoon(handOnHops);
  }

  // Behind what Bun has read and is about to hand on, and before it reads again.
  #giveSoon(hops: number): void {
    if (this.#held.length === 0 || this.#isClosed) return;
    if (hops > 0) queueMicrotask(() => this.#giveSoon(hops - 1));
    else if ((this.#readable?.readableLength ?? 0) === 0) this.giveNow();
    else setImmediate(() => this.#giveSoon(0));
  }

  giveNow(): void {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const bytes of held) this.#sink?.chunk(bytes);
  }

  #startLoop(): void {
    this.#readable = readableOf(Bun.file(this.#fd).stream());
    this.#reference = feed(this.#readable, {
      chunk: (bytes) => this.#sink?.chunk(bytes),
      end: (cause) => this.#end(cause),
    });
    if (!this.#isReferenced) this.#reference.unref();
  }

  ref(): void {
    if (this.#isReferenced) return;
    this.#isReferenced = true;
    this.#reference?.ref();
  }

  unref(): void {
    if (!this.#isReferenced) return;
    this.#isReferenced = false;
    this.#reference?.unref();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sink = undefined;
    this.#held = [];
    this.#readable?.destroy();
    nodeFs().closeSync(this.#fd);
  }

  #end(cause: Error | undefined): void {
    this.#isEnded = true;
    this.giveNow();
    const sink = this.#sink;
    this.#sink = undefined;
    this.#readable?.destroy();
    sink?.end(cause);
  }
}
