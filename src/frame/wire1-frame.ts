// Wire 1: the frames of the Go original, and of every handshake.
//
//   u16 big-endian id, uvarint length, `length` bytes of payload
//
// The id is `service index << 8 | method index`, both by position in the `.proto` file.

import { PlugError } from "../error/plug-error.ts";

/** The low byte of a handshake's id; the high byte is the index of the service. */
export const handshakeMethod = 0xff;
/** An error from the plugin: the payload is its text. */
export const wire1ErrorId = 0xff00;

/**
 * The most that the Go original can take in one frame, header included: it reads a frame with two
 * reads, and a pipe holds 64 KiB, so whatever is longer is lost in a race.
 */
export const maxWire1FrameBytes = 65_536;

const maxLengthBytes = 5; // a uvarint of 35 bits; more is nonsense

export function wire1HeaderBytes(payloadBytes: number): number {
  let bytes = 3;
  for (let rest = payloadBytes; rest >= 0x80; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** Writes the header and returns the offset behind it. */
export function writeWire1Header(
  buffer: Uint8Array,
  at: number,
  id: number,
  payloadBytes: number,
): number {
  buffer[at++] = id >> 8;
  buffer[at++] = id & 0xff;
  let rest = payloadBytes;
  while (rest >= 0x80) {
    buffer[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  buffer[at++] = rest;
  return at;
}

/** A whole frame in memory of its own. */
export function wire1Frame(id: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(wire1HeaderBytes(payload.byteLength) + payload.byteLength);
  frame.set(payload, writeWire1Header(frame, 0, id, payload.byteLength));
  return frame;
}

/** Takes the frames that a reader finds, in wire order. */
export interface Wire1Sink {
  /**
   * The payload is `buffer[from, to)`. Borrowed: valid until this returns.
   *
   * What comes after the frame is left alone if this returns true.
   */
  frame(id: number, buffer: Uint8Array, from: number, to: number): boolean | void;
  /**
   * Throws if no frame may have this id. It is called as soon as the id is there, since a length
   * that is no length may be waited for in vain; more than once for a frame that is cut.
   */
  checkId?(id: number): void;
}

/** Finds wire 1 frames in a stream that arrives cut anywhere. */
export class Wire1Reader {
  readonly #sink: Wire1Sink;
  readonly #maxPayloadBytes: number;
  // What has come of an unfinished frame. It grows as bytes come, and not as a header announces.
  #held = new Uint8Array(256);
  #heldBytes = 0;
  // Set by #payloadAt for whoever called it.
  #payloadBytes = 0;
  #isStopped = false;
  #isDead = false;

  constructor(maxPayloadBytes: number, sink: Wire1Sink) {
    this.#maxPayloadBytes = maxPayloadBytes;
    this.#sink = sink;
  }

  /** Bytes of an unfinished frame that are held. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Takes the next bytes, `chunk[from, to)`, and hands on the frames that they complete.
   * Returns where it stopped: at `to`, unless the sink said so.
   *
   * @throws {PlugError} `protocol_error`: a length that is not one. The reader is dead after it.
   * @throws {PlugError} `resource_exhausted`: a length over the limit. The reader is dead after it.
   */
  push(chunk: Uint8Array, from: number, to: number): number {
    if (this.#isDead) throw new PlugError("protocol_error", "the stream broke off before");
    this.#isDead = true; // until this push has gone well
    let at = from;
    this.#isStopped = false;
    while (at < to && !this.#isStopped) {
      at = this.#heldBytes > 0 ? this.#complete(chunk, at, to) : this.#whole(chunk, at, to);
    }
    this.#isDead = false;
    return at;
  }

  // A frame that starts in this chunk: handed on as a view if it ends in it, else held.
  #whole(chunk: Uint8Array, at: number, to: number): number {
    const payloadAt = this.#payloadAt(chunk, at, to);
    const end = payloadAt < 0 ? to + 1 : payloadAt + this.#payloadBytes;
    if (end > to) {
      this.#hold(chunk, at, to);
      return to;
    }
    this.#isStopped = this.#sink.frame(idAt(chunk, at), chunk, payloadAt, end) === true;
    return end;
  }

  // A frame whose start is held.
  #complete(chunk: Uint8Array, from: number, to: number): number {
    let at = from;
    let payloadAt = this.#payloadAt(this.#held, 0, this.#heldBytes);
    while (payloadAt < 0) {
      if (at === to) return at;
      this.#hold(chunk, at, at + 1);
      at += 1;
      payloadAt = this.#payloadAt(this.#held, 0, this.#heldBytes);
    }
    const end = payloadAt + this.#payloadBytes;
    const until = Math.min(to, at + end - this.#heldBytes);
    this.#hold(chunk, at, until);
    if (this.#heldBytes < end) return until;
    this.#heldBytes = 0;
    const frame = this.#held;
    // The frame may be large, and the sink may push again: give the memory away with it.
    if (frame.byteLength > maxWire1FrameBytes) this.#held = new Uint8Array(256);
    this.#isStopped = this.#sink.frame(idAt(frame, 0), frame, payloadAt, end) === true;
    return until;
  }

  // Where the payload starts, and its length in #payloadBytes; -1 if the header is not complete.
  #payloadAt(bytes: Uint8Array, at: number, to: number): number {
    if (to - at >= 2) this.#sink.checkId?.(idAt(bytes, at));
    let length = 0;
    for (let i = 0; ; i++) {
      const lengthByteAt = at + 2 + i;
      if (lengthByteAt >= to) return -1;
      const byte = bytes[lengthByteAt] as number;
      length += (byte & 0x7f) * 128 ** i;
      if (byte < 0x80) break;
      if (i + 1 === maxLengthBytes) {
        throw new PlugError(
          "protocol_error",
          `frame ${idText(idAt(bytes, at))} has a length of more than ${maxLengthBytes} bytes`,
        );
      }
    }
    if (length > this.#maxPayloadBytes) {
      throw new PlugError(
        "resource_exhausted",
        `frame ${idText(idAt(bytes, at))} announces ${length} bytes, more than maxMessageBytes ${this.#maxPayloadBytes}`,
      );
    }
    this.#payloadBytes = length;
    return at + wire1HeaderBytesAt(bytes, at);
  }

  #hold(chunk: Uint8Array, from: number, to: number): void {
    const needed = this.#heldBytes + to - from;
    if (needed > this.#held.byteLength) {
      const larger = new Uint8Array(Math.max(needed, this.#held.byteLength * 2));
      larger.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = larger;
    }
    this.#held.set(chunk.subarray(from, to), this.#heldBytes);
    this.#heldBytes = needed;
  }
}

export function idText(id: number): string {
  return `0x${id.toString(16).padStart(4, "0")}`;
}

function idAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

// The length may have come with more bytes than it needs, so it is counted, not computed.
function wire1HeaderBytesAt(bytes: Uint8Array, at: number): number {
  let end = at + 2;
  while ((bytes[end] as number) >= 0x80) end += 1;
  return end + 1 - at;
}
