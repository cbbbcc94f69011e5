// One duplex socket, on a descriptor that both processes were given: the transport of most loads.
//
// Three system calls a round trip where the two streams of stdio need eight, and both stdout and
// stderr of the plugin stay free for its own prints.

import { nodeFs } from "./node-fs.ts";
import { SendBuffer } from "./send-buffer.ts";
import {
  type BlockingTransport,
  type DescriptorIo,
  plainBytes,
  type Receiver,
  type Transport,
} from "./transport.ts";

// The kernel's buffer holds about 200 KiB; beyond a piece more, bulk data can wait, so that small
// frames find no more before them.
const highWaterBytes = 64 * 1024;
// What a caller who blocks takes at a time.
const blockingReadBytes = 64 * 1024;

/** The part of Bun's socket that is used here. */
interface BunSocket {
  write(data: Uint8Array, byteOffset: number, byteLength: number): number;
  terminate(): void;
  ref(): void;
  unref(): void;
}

interface BunSocketHandler {
  open(socket: BunSocket): void;
  data(socket: BunSocket, chunk: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket | undefined, error?: Error): void;
  error(socket: BunSocket, error: Error): void;
}

// Bun.connect takes a connected descriptor, though its types do not list that overload.
const connectDescriptor = Bun.connect as unknown as (options: {
  readonly fd: number;
  readonly socket: BunSocketHandler;
}) => Promise<BunSocket>;

/**
 * Takes over a connected socket; what is wrong with it ends the transport.
 *
 * Ownership: the descriptor belongs to the transport from now on.
 */
export function socketTransport(fd: number): Transport {
  const transport = new SocketTransport(fd);
  // `open` is called before this returns (in Bun 1.4.5), but nothing here depends on it.
  connectDescriptor({ fd, socket: transport.handler }).catch((error: Error) => {
    transport.handler.close(undefined, error);
    try {
      nodeFs().closeSync(fd);
    } catch {
      // It was not open, which may be what was wrong with it.
    }
  });
  return transport;
}

class SocketTransport implements BlockingTransport {
  readonly kind = "socket";
  readonly canBlock = true;
  readonly sent = { writeCount: 0, byteCount: 0 };
  isAwaited = false;
  readonly #out = new SendBuffer();
  #socket: BunSocket | undefined;
  #receiver: Receiver | undefined;
  // What came before somebody wanted it.
  #early: Uint8Array[] = [];
  #end: { readonly cause: Error | undefined } | undefined;
  #isBlocked = false;
  #isReferenced = true;
  #isClosed = false;
  readonly readFd: number;
  // Made by the first caller who blocks.
  #blockingChunk: Uint8Array | undefined;

  constructor(fd: number) {
    this.readFd = fd;
  }

  readonly handler: BunSocketHandler = {
    open: (socket) => this.#attach(socket),
    data: (_socket, chunk) => {
      const bytes = plainBytes(chunk);
      if (this.#receiver === undefined) this.#early.push(bytes.slice());
      else this.#receiver.receive(bytes, 0, bytes.byteLength);
    },
    drain: () => this.#drain(),
    end: () => this.#ended(undefined),
    close: (_socket, error) => this.#ended(error),
    error: (_socket, error) => this.#ended(error),
  };

  #attach(socket: BunSocket): void {
    if (this.#isClosed) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    if (!this.#isReferenced) socket.unref();
    this.flush();
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
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) receiver.receive(chunk, 0, chunk.byteLength);
    if (this.#end !== undefined) receiver.ended(this.#end.cause);
  }

  reserve(byteLength: number): number {
    return this.#out.reserve(byteLength);
  }

  commit(end: number): void {
    this.#out.commit(end);
  }

  flush(): void {
    const byteCount = this.#out.byteCount;
    if (byteCount === 0 || this.#isBlocked || this.#socket === undefined) return;
    const taken = this.#socket.write(this.#out.buffer, this.#out.head, byteCount);
    this.sent.writeCount += 1;
    if (taken < 0) return; // closed; `close` tells the receiver
    this.sent.byteCount += taken;
    this.#out.taken(taken);
    this.#isBlocked = taken < byteCount;
  }

  get writeFd(): number | undefined {
    return this.#isBlocked ? this.readFd : undefined;
  }

  // What Bun has read it has handed on before it returned, so nothing is overtaken here.
  takeNow(io: DescriptorIo): boolean {
    if (this.#end !== undefined || this.#receiver === undefined) return false;
    this.#blockingChunk ??= new Uint8Array(blockingReadBytes);
    const byteCount = io.read(this.readFd, this.#blockingChunk);
    if (byteCount > 0) this.#receiver.receive(this.#blockingChunk, 0, byteCount);
    else if (byteCount === 0) this.#ended(undefined);
    return byteCount >= 0;
  }

  willWait(): boolean {
    return true;
  }

  hasWaited(_io: DescriptorIo, isWritable: boolean): void {
    if (isWritable) this.#drain();
  }

  resume(): void {}

  ref(): void {
    this.#isReferenced = true;
    this.#socket?.ref();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#socket?.unref();
  }

  close(): void {
    this.#isClosed = true;
    this.#receiver = undefined;
    this.#end ??= { cause: undefined };
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    // Last words go out if the kernel has room; nobody waits for a peer that does not read.
    if (!this.#isBlocked && this.#out.byteCount > 0) {
      socket.write(this.#out.buffer, this.#out.head, this.#out.byteCount);
    }
    socket.terminate();
  }

  #drain(): void {
    const wasCongested = this.isCongested;
    this.#isBlocked = false;
    this.flush();
    if (wasCongested && !this.isCongested) this.#receiver?.writable();
  }

  #ended(cause: Error | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { cause };
    const receiver = this.#receiver;
    receiver?.ended(cause);
  }
}
