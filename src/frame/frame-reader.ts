// Chunks of an ordered byte stream in, wire 2 frames out.
//
// Pure: no I/O, no timers, no promises. Must not know what a request or a call is.

import { PlugError } from "../error/plug-error.ts";
import {
  flagsAt,
  FrameFlag,
  FrameKind,
  headerBytes,
  isKnownKind,
  kindAt,
  kindName,
  lengthAt,
  methodAt,
  requestIdAt,
  headerFault,
} from "./frame-header.ts";

/** Takes the frames that a reader finds, in wire order. */
export interface FrameSink {
  /** The payload is `buffer[from, to)`. Borrowed: valid until this returns. */
  frame(
    kind: number,
    flags: number,
    methodId: number,
    requestId: number,
    buffer: Uint8Array,
    from: number,
    to: number,
  ): void;
}

/** Knows where the pieces of long messages are put together. */
export interface PieceRooms {
  /** Some have come in part. */
  readonly isExpecting: boolean;
  /**
   * Memory for the next piece of a message, of just that many bytes, or undefined if none is
   * expected. The same memory is given to {@link FrameSink.frame} when the piece is complete.
   */
  roomFor(requestId: number, isFromCallee: boolean, byteCount: number): Uint8Array | undefined;
}

// Less is sooner copied than asked for by itself.
const leastWantedBytes = 1024;
const nowhere = new Uint8Array(0);

/**
 * Finds the frames in a stream that arrives cut anywhere.
 *
 * Frames that lie within one chunk are handed on as views of it. The payload of one that straddles
 * chunks is copied: to where its message is put together, or into a buffer of one frame.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxPayloadBytes: number;
  readonly #rooms: PieceRooms | undefined;
  // The start of a header whose rest has not come yet.
  readonly #head = new Uint8Array(headerBytes);
  #headBytes = 0;
  // The start of a payload whose rest has not come yet, behind the header that was read last.
  #body: Uint8Array | undefined;
  #bodyBytes = 0;
  // For those that no room is known for.
  #spill: Uint8Array | undefined;
  #wanted: Uint8Array | undefined;
  #isDead = false;
  // The header that was read last.
  #payloadBytes = 0;
  #kind = 0;
  #flags = 0;
  #methodId = 0;
  #requestId = 0;

  /** `maxPayloadBytes`: a header that announces more ends the stream with `protocol_error`. */
  constructor(maxPayloadBytes: number, sink: FrameSink, rooms?: PieceRooms) {
    this.#maxPayloadBytes = maxPayloadBytes;
    this.#sink = sink;
    this.#rooms = rooms;
  }

  /** Bytes of an unfinished frame that are held. */
  get heldBytes(): number {
    return this.#headBytes + (this.#body === undefined ? 0 : headerBytes + this.#bodyBytes);
  }

  /**
   * Where the next bytes belong, if they are many: who can puts them there, from its start on, and
   * pushes that memory. Empty if more of a long message is to come, and its place not known yet.
   */
  get wanted(): Uint8Array | undefined {
    return this.#wanted ?? (this.#rooms?.isExpecting === true ? nowhere : undefined);
  }

  /**
   * Takes the next bytes, `chunk[from, to)`, and hands on the frames that they complete. With
   * {@link wanted} as the chunk they are where they belong already.
   *
   * @throws {PlugError} `protocol_error`: the bytes are not frames. The reader is dead after it,
   *   and throws on every further push.
   */
  push(chunk: Uint8Array, from: number, to: number): void {
    if (this.#isDead) throw new PlugError("protocol_error", "the stream broke off before");
    this.#isDead = true; // until this push has gone well
    let at = from;
    if (this.#body !== undefined) at = this.#fillBody(this.#body, chunk, at, to);
    if (this.#headBytes > 0) at = this.#fillHead(chunk, at, to);
    if (at < to) {
      while (to - at >= headerBytes) {
        this.#readHeader(chunk, at);
        at = this.#takePayload(chunk, at + headerBytes, to);
      }
      if (at < to) at = this.#fillHead(chunk, at, to);
    }
    this.#isDead = false;
  }

  // Hands the frame on, or keeps what has come of its payload. Returns where the next one starts.
  #takePayload(chunk: Uint8Array, from: number, to: number): number {
    const end = from + this.#payloadBytes;
    if (end > to) return this.#startBody(chunk, from, to);
    this.#emit(chunk, from, end);
    return end;
  }

  #emit(buffer: Uint8Array, from: number, to: number): void {
    // Else it is ignorable, or #readHeader would have thrown.
    if (!isKnownKind(this.#kind)) return;
    this.#sink.frame(this.#kind, this.#flags, this.#methodId, this.#requestId, buffer, from, to);
  }

  // Check the claim before trusting it: a peer can announce 4 GiB in 12 bytes.
  #readHeader(bytes: Uint8Array, at: number): void {
    const payloadBytes = readU32(bytes, at + lengthAt);
    const kind = bytes[at + kindAt] as number;
    const flags = bytes[at + flagsAt] as number;
    const methodId = readU16(bytes, at + methodAt);
    const requestId = readU32(bytes, at + requestIdAt);
    if (!isKnownKind(kind)) {
      if ((flags & FrameFlag.Ignorable) === 0) {
        throw new PlugError("protocol_error", `frame ${kindName(kind)} is unknown`);
      }
    } else {
      const fault = headerFault(kind, flags, methodId, requestId, payloadBytes);
      if (fault !== undefined) {
        throw new PlugError("protocol_error", `${kindName(kind)} frame ${fault}`);
      }
    }
    if (payloadBytes > this.#maxPayloadBytes) {
      throw new PlugError(
        "protocol_error",
        `${kindName(kind)} frame announces a payload of ${payloadBytes} bytes, more than ${this.#maxPayloadBytes}`,
      );
    }
    this.#payloadBytes = payloadBytes;
    this.#kind = kind;
    this.#flags = flags;
    this.#methodId = methodId;
    this.#requestId = requestId;
  }

  #startBody(chunk: Uint8Array, from: number, to: number): number {
    const isFromCallee = (this.#flags & FrameFlag.FromCallee) !== 0;
    const room =
      this.#kind === FrameKind.Continue
        ? this.#rooms?.roomFor(this.#requestId, isFromCallee, this.#payloadBytes)
        : undefined;
    this.#body = room ?? (this.#spill ??= new Uint8Array(this.#maxPayloadBytes));
    this.#bodyBytes = 0;
    return this.#fillBody(this.#body, chunk, from, to);
  }

  // These return where in the chunk what comes next starts.
  #fillBody(body: Uint8Array, chunk: Uint8Array, from: number, to: number): number {
    const end = Math.min(to, from + this.#payloadBytes - this.#bodyBytes);
    if (chunk !== this.#wanted) body.set(chunk.subarray(from, end), this.#bodyBytes);
    this.#bodyBytes += end - from;
    const missing = this.#payloadBytes - this.#bodyBytes;
    this.#wanted =
      missing < leastWantedBytes
        ? undefined
        : body.subarray(this.#bodyBytes, this.#bodyBytes + missing);
    if (missing > 0) return end;
    this.#body = undefined;
    this.#emit(body, 0, this.#payloadBytes);
    return end;
  }

  #fillHead(chunk: Uint8Array, from: number, to: number): number {
    const end = Math.min(to, from + headerBytes - this.#headBytes);
    this.#head.set(chunk.subarray(from, end), this.#headBytes);
    this.#headBytes += end - from;
    if (this.#headBytes < headerBytes) return end;
    this.#headBytes = 0;
    this.#readHeader(this.#head, 0);
    return this.#takePayload(chunk, end, to);
  }
}

// Byte by byte: a DataView costs more to make than one header costs to read.
function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

function readU32(bytes: Uint8Array, at: number): number {
  return (readU16(bytes, at) | (readU16(bytes, at + 2) << 16)) >>> 0;
}
