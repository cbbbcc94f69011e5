// The seam between ordered bytes and everything above.
//
// A transport carries bytes in order, both ways. It knows nothing of frames or calls, and nothing
// above it knows which one it is.

export type TransportKind = "stdio" | "socket" | "ring" | "memory";

/** What a transport tells the layer above. It is called in order, and never after `ended`. */
export interface Receiver {
  /**
   * Bytes `[from, to)` of `chunk` have come. Borrowed: valid until this returns.
   *
   * It may return memory where the next bytes belong. A transport that can puts them there, from its
   * start on, and then gives that memory as the chunk; or it does not care. The memory is empty if
   * much is to come, and its place not known yet.
   */
  receive(chunk: Uint8Array, from: number, to: number): Uint8Array | undefined | void;
  /** `isCongested` has become false again. */
  writable(): void;
  /** The peer has gone, or the transport broke: `cause` says how. Nothing comes after it. */
  ended(cause?: Error): void;
}

/**
 * A chunk that Bun gives as a `Buffer`, as what it says it is. A Buffer's `slice` is a view and not
 * a copy, and whoever is given one prints it as an object.
 */
export function plainBytes(chunk: Uint8Array): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

export interface Transport {
  readonly kind: TransportKind;

  /** The memory that {@link reserve} gives room in. It may change with every reservation. */
  readonly buffer: Uint8Array;
  /** The same memory as {@link buffer}. */
  readonly view: DataView;

  /**
   * Whether so much is waiting for the peer that bulk data should wait too. Small frames may still
   * be written: what they can add up to is bounded by the limits on calls in flight.
   */
  readonly isCongested: boolean;

  /** Set by the layer above while it waits for an answer: one may be looked for. */
  isAwaited: boolean;

  /** Bytes that have been committed and not taken by the kernel. */
  readonly unsentBytes: number;

  /** Writes and bytes so far, for `stats()`. */
  readonly sent: { readonly writeCount: number; readonly byteCount: number };

  /** Starts to deliver to `receiver`, or goes on with another one. Nothing is lost in between. */
  start(receiver: Receiver): void;

  /** Makes room for `byteLength` bytes and returns where in {@link buffer} they start. */
  reserve(byteLength: number): number;

  /** What was written behind the last reservation's start, up to `end`, goes out next. */
  commit(end: number): void;

  /** Hands everything committed to the kernel, in one write if it takes it. */
  flush(): void;

  /** Whether the transport keeps the process running while it waits for the peer. */
  ref(): void;
  unref(): void;

  /** Closes both directions and gives the descriptors back. `ended` is not called for it. */
  close(): void;
}

/** The system calls of a wait without the event loop. */
export interface DescriptorIo {
  /** Reads what is there, without waiting: how many bytes, 0 at the end, -1 if nothing is there now. */
  read(fd: number, buffer: Uint8Array): number;
}

/** A transport that a caller can wait for who blocks the process: the event loop stands still. */
export interface BlockingTransport extends Transport {
  /** False: something else reads, and what it holds cannot be waited for. */
  readonly canBlock: boolean;
  /** Becomes readable when something may have come. */
  readonly readFd: number;
  /** Becomes writable when there is room again, or undefined if nothing is waiting for room. */
  readonly writeFd: number | undefined;

  /**
   * Takes what is there, looking for it for a moment where it lately came that soon. Returns whether
   * there was something.
   */
  takeNow(io: DescriptorIo): boolean;

  /** Nothing was there, and the caller will wait for the descriptors. False: now there is something. */
  willWait(): boolean;

  /** The descriptors are ready, or the wait has been long. */
  hasWaited(io: DescriptorIo, isWritable: boolean): void;

  /** The event loop takes over again. */
  resume(): void;
}

export function canBlock(transport: Transport): transport is BlockingTransport {
  return "canBlock" in transport && transport.canBlock === true;
}
