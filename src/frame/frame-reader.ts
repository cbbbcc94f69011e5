// Chunks of an ordered byte stream in, wire 2 frames out.
//
// Pure: no I/O, no timers, no promises. Must not know what a request or a call is.

import { PlugError } from "../error/plug-error.ts";
import {
  flagsAt,
  FrameFlag,
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

/**
 * Finds the frames in a stream that arrives cut anywhere.
 *
 * Frames that lie within one chunk are handed on as views of it; only one that straddles chunks is
 * copied, into a buffer that never grows beyond one frame.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxPayloadBytes: number;
  // The start of a frame whose rest has not come yet.
  #spill: Uint8Array | undefined;
  #spillBytes = 0;
  #isDead = false;
  // The header that was read last.
  #payloadBytes = 0;
  #kind = 0;
  #flags = 0;
  #methodId = 0;
  #requestId = 0;

  /** `maxPayloadBytes`: a header that announces more ends the stream with `protocol_error`. */
  constructor(maxPayloadBytes: number, sink: FrameSink) {
    this.#maxPayloadBytes = maxPayloadBytes;
    this.#sink = sink;
  }

  /** Bytes of an unfinished frame that are held. */
  get heldBytes(): number {
    return this.#spillBytes;
  }

  /**
   * Takes the next bytes, `chunk[from, to)`, and hands on the frames that they complete.
   *
   * @throws {PlugError} `protocol_error`: the bytes are not frames. The reader is dead after it,
   *   and throws on every further push.
   */
  push(chunk: Uint8Array, from: number, to: number): void {
    if (this.#isDead) throw new PlugError("protocol_error", "the stream broke off before");
    this.#isDead = true; // until this push has gone well
    let at = from;
    if (this.#spillBytes > 0) at = this.#completeSpill(chunk, at, to);
    if (at < to) {
      while (to - at >= headerBytes) {
        this.#readHeader(chunk, at);
        const from = at + headerBytes;
        if (to - from < this.#payloadBytes) break;
        at = from + this.#payloadBytes;
        this.#emit(chunk, from, at);
      }
      if (at < to) this.#startSpill(chunk, at, to);
    }
    this.#isDead = false;
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

  #startSpill(chunk: Uint8Array, at: number, to: number): void {
    this.#spill ??= new Uint8Array(headerBytes + this.#maxPayloadBytes);
    this.#spill.set(chunk.subarray(at, to), 0);
    this.#spillBytes = to - at;
  }

  // Returns where in the chunk the next frame starts.
  #completeSpill(chunk: Uint8Array, from: number, to: number): number {
    const spill = this.#spill as Uint8Array;
    let at = this.#fillSpill(chunk, from, to, headerBytes);
    if (this.#spillBytes < headerBytes) return at;
    this.#readHeader(spill, 0);
    const end = headerBytes + this.#payloadBytes;
    at = this.#fillSpill(chunk, at, to, end);
    if (this.#spillBytes < end) return at;
    this.#spillBytes = 0;
    this.#emit(spill, headerBytes, end);
    return at;
  }

  #fillSpill(chunk: Uint8Array, from: number, to: number, wantedBytes: number): number {
    const missing = wantedBytes - this.#spillBytes;
    if (missing <= 0) return from;
    const end = Math.min(to, from + missing);
    this.#spill?.set(chunk.subarray(from, end), this.#spillBytes);
    this.#spillBytes += end - from;
    return end;
  }
}

// Byte by byte: a DataView costs more to make than one header costs to read.
function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

function readU32(bytes: Uint8Array, at: number): number {
  return (readU16(bytes, at) | (readU16(bytes, at + 2) << 16)) >>> 0;
}
