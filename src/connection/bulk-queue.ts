// Messages that are too long for one frame, on their way out piece by piece.
//
// They take turns, one frame each, and only while the transport is not congested; small frames go
// in between. So a message of 100 MiB delays a call of 16 bytes by a few frames, and no more.

import { blocked } from "../call/blocked.ts";
import { FrameFlag, FrameKind, headerBytes, writeHeader } from "../frame/frame-header.ts";
import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { Transport } from "../transport/transport.ts";

/** The longest payload of a frame; longer messages are split. On the wire, see PROTOCOL.md. */
export const maxFramePayloadBytes = 64 * 1024;

// A peer that reads as fast as this side writes is never congested; so much takes about 0.1 ms, and
// then timers, I/O and everything else have their turn.
const turnBytes = 512 * 1024;

/** One message on its way out. */
export interface BulkSend {
  readonly kind: FrameKind;
  /** Flags of the first frame, without `More`. */
  readonly flags: number;
  readonly methodId: number;
  readonly requestId: number;
  /** The message, one piece of memory after the other. */
  readonly segments: Uint8Array[];
  readonly byteCount: number;
  /** Object id and metadata, in the first frame. */
  readonly preface: Uint8Array | undefined;
  /** For a request with a deadline: written into the first frame. Else 0. */
  readonly deadlineAt: number;
  /** How much has been sent; 0 if the receiver knows nothing of it yet. */
  sentBytes: number;
  /** Called when the last piece has been handed to the transport. */
  readonly onSent: () => void;
  /** Called when it cannot be sent any more: its owner has taken the memory away. */
  readonly onFailed: (error: PlugError) => void;
}

type OnFrame = (
  kind: number,
  flags: number,
  methodId: number,
  requestId: number,
  payloadBytes: number,
) => void;

export class BulkQueue {
  readonly #transport: Transport;
  readonly #onFrame: OnFrame;
  #queue: BulkSend[] = [];
  #isTurnDue = false;

  constructor(transport: Transport, onFrame: OnFrame) {
    this.#transport = transport;
    this.#onFrame = onFrame;
  }

  get count(): number {
    return this.#queue.length;
  }

  add(send: BulkSend): void {
    this.#queue.push(send);
  }

  /** Sends no more of it. */
  remove(send: BulkSend): void {
    const index = this.#queue.indexOf(send);
    if (index >= 0) this.#queue.splice(index, 1);
  }

  clear(): void {
    this.#queue = [];
  }

  /** Hands pieces to the transport until it is congested, nothing is left, or it is time for others. */
  pump(): void {
    // Whoever blocks gets no turn of the event loop, and waits for nothing else.
    const { isBlocked } = blocked;
    if (this.#isTurnDue && !isBlocked) return;
    const { sent, unsentBytes } = this.#transport;
    const end = sent.byteCount + unsentBytes + turnBytes;
    while (this.#queue.length > 0 && !this.#transport.isCongested) {
      if (!isBlocked && sent.byteCount + this.#transport.unsentBytes >= end) {
        this.#goOnInATurn();
        return;
      }
      const send = this.#queue.shift() as BulkSend;
      try {
        this.#sendPiece(send);
      } catch (cause) {
        send.onFailed(takenAway(cause));
        continue;
      }
      if (send.sentBytes < send.byteCount) this.#queue.push(send);
      else send.onSent();
      this.#transport.flush();
    }
  }

  #goOnInATurn(): void {
    this.#isTurnDue = true;
    setImmediate(() => {
      this.#isTurnDue = false;
      this.pump();
    });
  }

  #sendPiece(send: BulkSend): void {
    const isFirst = send.sentBytes === 0;
    const hasDeadline = isFirst && send.deadlineAt > 0;
    const preface = isFirst ? send.preface : undefined;
    const prefixBytes = (isFirst ? 4 : 0) + (hasDeadline ? 4 : 0) + (preface?.byteLength ?? 0);
    const pieceBytes = Math.min(
      maxFramePayloadBytes - prefixBytes,
      send.byteCount - send.sentBytes,
    );
    const end = send.sentBytes + pieceBytes;
    const kind = isFirst ? send.kind : FrameKind.Continue;
    const flags =
      (isFirst ? send.flags : send.flags & FrameFlag.FromCallee) |
      (hasDeadline ? FrameFlag.Deadline : 0) |
      (end < send.byteCount ? FrameFlag.More : 0);
    const methodId = isFirst ? send.methodId : 0;
    const payloadBytes = prefixBytes + pieceBytes;

    const start = this.#transport.reserve(headerBytes + payloadBytes);
    const view = this.#transport.view;
    writeHeader(view, start, payloadBytes, kind, flags, methodId, send.requestId);
    let at = start + headerBytes;
    if (isFirst) {
      view.setUint32(at, send.byteCount, true);
      at += 4;
    }
    if (hasDeadline) {
      view.setUint32(at, timeLeftMs(send.deadlineAt), true);
      at += 4;
    }
    if (preface !== undefined) {
      this.#transport.buffer.set(preface, at);
      at += preface.byteLength;
    }
    takeFrom(send.segments, pieceBytes, this.#transport.buffer, at);
    this.#transport.commit(at + pieceBytes);
    this.#onFrame(kind, flags, methodId, send.requestId, payloadBytes);
    send.sentBytes = end;
  }
}

function takenAway(cause: unknown): PlugError {
  return new PlugError(
    "invalid_argument",
    `bytes of a message were taken away before they had been sent: ${textOf(cause)}`,
    { cause },
  );
}

// Moves the first bytes of the segments, and forgets what has been moved.
function takeFrom(segments: Uint8Array[], byteCount: number, target: Uint8Array, at: number): void {
  for (let left = byteCount; left > 0;) {
    const segment = segments[0] as Uint8Array;
    if (segment.byteLength === 0) throw new TypeError("it is empty now");
    if (segment.byteLength <= left) {
      target.set(segment, at);
      segments.shift();
    } else {
      target.set(segment.subarray(0, left), at);
      segments[0] = segment.subarray(left);
    }
    const moved = Math.min(left, segment.byteLength);
    at += moved;
    left -= moved;
  }
}

/** Whole milliseconds until a moment on the clock of `performance.now()`, as they go on the wire. */
export function timeLeftMs(deadlineAt: number): number {
  return Math.max(0, Math.min(0xffff_ffff, Math.ceil(deadlineAt - performance.now())));
}
