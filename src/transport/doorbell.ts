// A socket over which nothing goes but "look": one byte, whatever it is.

import { nodeFs } from "./node-fs.ts";

import type { DescriptorIo } from "./transport.ts";

export interface DoorbellEvents {
  /** The other side has rung. */
  rung(): void;
  /** The other side has gone. */
  gone(cause: Error | undefined): void;
}

interface BunSocket {
  write(data: Uint8Array): number;
  terminate(): void;
  ref(): void;
  unref(): void;
}

const connectDescriptor = Bun.connect as unknown as (options: {
  readonly fd: number;
  readonly socket: object;
}) => Promise<BunSocket>;

const bell = Uint8Array.of(1);
// For what is read of it, which nobody looks at.
const rung = new Uint8Array(64);

/** Ownership: the descriptor belongs to the doorbell from now on. */
export function connectDoorbell(fd: number, events: DoorbellEvents): DoorbellSocket {
  return new DoorbellSocket(fd, events);
}

export class DoorbellSocket {
  readonly #fd: number;
  #socket: BunSocket | undefined;
  #isReferenced = true;
  #isClosed = false;
  #isOwed = false;

  constructor(fd: number, events: DoorbellEvents) {
    this.#fd = fd;
    const gone = (cause?: Error): void => {
      if (!this.#isClosed) events.gone(cause);
    };
    connectDescriptor({
      fd,
      socket: {
        open: (socket: BunSocket) => this.#attach(socket),
        data: () => events.rung(),
        drain: () => {},
        end: () => gone(),
        close: (_socket: BunSocket, error?: Error) => gone(error),
        error: (_socket: BunSocket, error: Error) => gone(error),
      },
    }).catch((error: Error) => {
      gone(error);
      try {
        nodeFs().closeSync(fd);
      } catch {
        // It was not open, which may be what was wrong with it.
      }
    });
  }

  ring(): void {
    if (this.#socket === undefined) this.#isOwed = true;
    // One that is not taken is one too many: those before it have not been heard yet.
    else this.#socket.write(bell);
  }

  /** Takes what has been rung, without the event loop: see {@link DescriptorIo.read}. */
  silence(io: DescriptorIo): number {
    return this.#isClosed ? 0 : io.read(this.#fd, rung);
  }

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
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  #attach(socket: BunSocket): void {
    if (this.#isClosed) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    if (!this.#isReferenced) socket.unref();
    if (this.#isOwed) socket.write(bell);
  }
}
