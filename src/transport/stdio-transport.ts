// Two one-way streams: the child's stdin and stdout, seen from either side.
//
// They may be FIFOs or sockets. The handshake and wire 1 run on them; wire 2 does where nothing
// better is to be had.

import type { BlockingSource, ByteSource } from "./byte-source.ts";
import { nodeFs } from "./node-fs.ts";
import { SendBuffer } from "./send-buffer.ts";
import type { BlockingTransport, DescriptorIo, Receiver } from "./transport.ts";

const highWaterBytes = 64 * 1024;
// Between a write that failed and the end of the connection.
const brokenGraceMs = 50;

/** The part of Bun's file sink that is used here. */
export interface BunSink {
  write(data: Uint8Array): number | Promise<number>;
  flush(): number | Promise<number>;
  end(): unknown;
}

/** Where a stdio transport writes to. */
export type ByteTarget =
  /** A descriptor, which belongs to the transport. */
  | { readonly fd: number; readonly isNonBlocking: boolean }
  /** For where there is no descriptor: a sink of `Bun.spawn`. */
  | { readonly sink: BunSink };

/** Ownership: the source and the target belong to the transport, which closes them. */
export class StdioTransport implements BlockingTransport {
  readonly kind = "stdio";
  readonly sent = { writeCount: 0, byteCount: 0 };
  isAwaited = false;
  readonly #out = new SendBuffer();
  readonly #source: ByteSource;
  readonly #fd: number | undefined;
  readonly #isNonBlocking: boolean;
  // Undefined if the event loop is all that can read.
  readonly #blockingSource: BlockingSource | undefined;
  #sink: BunSink | undefined;
  #receiver: Receiver | undefined;
  #isStarted = false;
  #end: { readonly cause: Error | undefined } | undefined;
  // The sink has not written all that it was given, or there is none and the kernel is full.
  #isBlocked = false;
  #isWriteClosed = false;
  #isClosed = false;
  #broken: { readonly error: Error; readonly atMs: number } | undefined;
  #brokenTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(source: ByteSource, target: ByteTarget) {
    this.#source = source;
    this.#blockingSource = "readNow" in source ? (source as BlockingSource) : undefined;
    this.#fd = "fd" in target ? target.fd : undefined;
    this.#isNonBlocking = "fd" in target && target.isNonBlocking;
    this.#sink = "sink" in target ? target.sink : undefined;
  }

  get buffer(): Uint8Array {
    return this.#out.buffer;
  }

  get view(): DataView {
    return this.#out.view;
  }

  get unsentBytes(): number {
    return this.#out.byteCount;
  }

  get isCongested(): boolean {
    return this.#isBlocked && this.#out.byteCount > highWaterBytes;
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
    if (this.#end !== undefined) {
      receiver.ended(this.#end.cause);
      return;
    }
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#source.start({
      chunk: (bytes) => this.#receiver?.receive(bytes, 0, bytes.byteLength),
      end: (cause) => this.#ended(cause),
    });
  }

  reserve(byteLength: number): number {
    return this.#out.reserve(byteLength);
  }

  commit(end: number): void {
    this.#out.commit(end);
  }

  flush(): void {
    if (this.#isBlocked || this.#isWriteClosed) return;
    if (this.#isNonBlocking) this.#writeDirectly();
    if (this.#out.byteCount === 0) return;
    // A sink writes when the event loop turns.
    if (this.canBlock && this.#isNonBlocking) this.#isBlocked = true;
    else this.#writeBySink();
  }

  get canBlock(): boolean {
    return this.#blockingSource?.isLeftToLoop === false;
  }

  get readFd(): number {
    return this.#blockingSource?.readFd ?? -1;
  }

  get writeFd(): number | undefined {
    return this.#isBlocked ? this.#fd : undefined;
  }

  takeNow(io: DescriptorIo): boolean {
    if (this.#blockingSource?.readNow(io) === true) return true;
    const broken = this.#broken;
    if (broken === undefined || this.#end !== undefined) return false;
    // No timer has its turn while somebody blocks.
    if (performance.now() < broken.atMs + brokenGraceMs) return false;
    this.#ended(broken.error);
    return true;
  }

  willWait(): boolean {
    return true;
  }

  hasWaited(_io: DescriptorIo, isWritable: boolean): void {
    if (isWritable && this.#isBlocked) this.#unblocked();
  }

  resume(): void {}

  // One system call, no copy, and the kernel's own word on how much it took.
  #writeDirectly(): void {
    try {
      while (this.#out.byteCount > 0) {
        const { buffer, head, byteCount } = this.#out;
        const taken = nodeFs().writeSync(this.#fd as number, buffer, head, byteCount);
        this.#count(taken);
        this.#out.taken(taken);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") this.#breakOff(error as Error);
    }
  }

  // Where the kernel is full, only Bun's sink can say when there is room again. It takes a copy of
  // everything, however much, so it gets no more until it is done.
  #writeBySink(): void {
    this.#sink ??= Bun.file(this.#fd as number).writer() as unknown as BunSink;
    const { buffer, head, tail, byteCount } = this.#out;
    try {
      let done = this.#sink.write(buffer.subarray(head, tail));
      if (!(done instanceof Promise)) done = this.#sink.flush();
      this.#count(byteCount);
      this.#out.taken(byteCount);
      if (!(done instanceof Promise)) return;
      this.#isBlocked = true;
      done.then(
        () => this.#unblocked(),
        (error: Error) => this.#breakOff(error),
      );
    } catch (error) {
      this.#breakOff(error as Error);
    }
  }

  #unblocked(): void {
    const wasCongested = this.isCongested;
    this.#isBlocked = false;
    if (this.#isClosed) return;
    this.flush();
    if (wasCongested && !this.isCongested) this.#receiver?.writable();
  }

  // Nobody reads any more. What the peer said before that may still come in, and so may the end of
  // the process, which says more than a failed write: so this is not news at once.
  #breakOff(error: Error): void {
    this.#broken ??= { error, atMs: performance.now() };
    this.#out.taken(this.#out.byteCount);
    this.#isWriteClosed = true;
    this.#brokenTimer = setTimeout(() => this.#ended(error), brokenGraceMs);
  }

  #count(byteCount: number): void {
    this.sent.writeCount += 1;
    this.sent.byteCount += byteCount;
  }

  #ended(cause: Error | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { cause };
    this.#receiver?.ended(cause);
  }

  ref(): void {
    this.#source.ref();
  }

  unref(): void {
    this.#source.unref();
  }

  /** Closes the outward direction alone: the peer sees the end of its input. */
  closeWrite(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isWriteClosed = true;
    // The sink writes to a copy of the descriptor, which must go too before the peer sees the end.
    // What it still holds it tries to deliver; that fails when the peer goes, and is not news.
    const ended = this.#sink?.end();
    if (ended instanceof Promise) ended.catch(() => {});
    if (this.#fd !== undefined) nodeFs().closeSync(this.#fd);
  }

  close(): void {
    clearTimeout(this.#brokenTimer);
    this.#receiver = undefined;
    this.#end ??= { cause: undefined };
    this.closeWrite();
    this.#source.close();
  }
}
