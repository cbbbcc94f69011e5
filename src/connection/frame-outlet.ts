// Frames on their way out: encoded straight behind their headers, in one write a turn.

import type { ConnectionEvents } from "../call/client-connection.ts";
import { gather } from "../stream/gather.ts";
import type { PayloadWriter } from "../stream/payload.ts";
import type { PlugError } from "../error/plug-error.ts";
import { FrameFlag, FrameKind, headerBytes, writeHeader } from "../frame/frame-header.ts";
import type { Transport } from "../transport/transport.ts";
import { UnreadAnswers } from "./unread-answers.ts";
import { BulkQueue, type BulkSend, maxFramePayloadBytes, timeLeftMs } from "./bulk-queue.ts";

/** A message that goes out: in one frame if it fits, else in pieces. */
export interface OutgoingMessage {
  readonly kind: FrameKind;
  readonly flags: number;
  readonly methodId: number;
  readonly requestId: number;
  /** For a request with a deadline: on the clock of `performance.now()`. Else 0. */
  readonly deadlineAt: number;
  /** Object id and metadata; undefined if there is neither. See frame/preface.ts. */
  readonly preface: Uint8Array | undefined;
}

// Within a batch, what is there goes out at so many bytes, or after so long; a look at the clock
// costs as much as a part of a frame.
const flushBytes = 64 * 1024;
const flushMs = 1;
const framesPerLook = 8;
// Writes of stream messages in one turn of the event loop, before the others of the turn wait for
// its end: the first ones are quick, and a source that gives one after the other does not cost a
// write for each.
const quickWriteCount = 2;

export class FrameOutlet {
  readonly #transport: Transport;
  readonly #onFrame: ConnectionEvents["onFrame"];
  readonly #bulk: BulkQueue;
  readonly #unread: UnreadAnswers;
  #isFlushOwed = false;
  #isTaskDue = false;
  #isBatching = false;
  #batchFrames = 0;
  #batchStartMs = 0;
  #isClosed = false;
  // Stream messages that asked for a write in this turn.
  #streamWriteCount = 0;

  /** `maxUnreadBytes`: of answers, before a peer that asks on is cut off. */
  constructor(
    transport: Transport,
    onFrame: ConnectionEvents["onFrame"],
    maxUnreadBytes = Infinity,
  ) {
    this.#transport = transport;
    this.#unread = new UnreadAnswers(transport, maxUnreadBytes);
    this.#onFrame = onFrame;
    this.#bulk = new BulkQueue(transport, (kind, flags, methodId, requestId, payloadBytes) =>
      onFrame?.(">", kind, flags, methodId, requestId, payloadBytes),
    );
  }

  /** Between {@link startBatch} and {@link endBatch}. */
  get isBatching(): boolean {
    return this.#isBatching;
  }

  get isCongested(): boolean {
    return this.#transport.isCongested;
  }

  /** @throws {PlugError} `protocol_error`: the peer asks on, and leaves too many answers unread. */
  checkUnread(): void {
    this.#unread.check();
  }

  /** Whether a message of this size goes out in one frame. */
  fits(byteCount: number, hasDeadline: boolean, preface: Uint8Array | undefined): boolean {
    const prefixBytes = (hasDeadline ? 4 : 0) + (preface === undefined ? 0 : preface.byteLength);
    return prefixBytes + byteCount <= maxFramePayloadBytes;
  }

  /** Writes a message that {@link fits}; `byteCount` is what `writer.size` has just said. */
  writeMessage<T>(
    kind: FrameKind,
    flags: number,
    methodId: number,
    requestId: number,
    deadlineAt: number,
    preface: Uint8Array | undefined,
    writer: PayloadWriter<T>,
    value: T,
    byteCount: number,
  ): void {
    const transport = this.#transport;
    let payloadBytes = byteCount;
    if (deadlineAt > 0) {
      payloadBytes += 4;
      flags |= FrameFlag.Deadline;
    }
    if (preface !== undefined) payloadBytes += preface.byteLength;
    const start = transport.reserve(headerBytes + payloadBytes);
    writeHeader(transport.view, start, payloadBytes, kind, flags, methodId, requestId);
    let at = start + headerBytes;
    if (deadlineAt > 0) {
      transport.view.setUint32(at, timeLeftMs(deadlineAt), true);
      at += 4;
    }
    if (preface !== undefined) {
      transport.buffer.set(preface, at);
      at += preface.byteLength;
    }
    transport.commit(writer.write(value, transport.buffer, at));
    this.#onFrame?.(">", kind, flags, methodId, requestId, payloadBytes);
    if (kind === FrameKind.Message) this.#oweStreamFlush();
    else this.#oweFlush();
    if (kind === FrameKind.Response) this.#unread.written(headerBytes + payloadBytes);
  }

  /** Writes a frame whose payload is there already. */
  write(kind: FrameKind, flags: number, requestId: number, payload: Uint8Array): void {
    if (this.#isClosed) return;
    const transport = this.#transport;
    const start = transport.reserve(headerBytes + payload.byteLength);
    writeHeader(transport.view, start, payload.byteLength, kind, flags, 0, requestId);
    transport.buffer.set(payload, start + headerBytes);
    transport.commit(start + headerBytes + payload.byteLength);
    this.#onFrame?.(">", kind, flags, 0, requestId, payload.byteLength);
    this.#oweFlush();
    if (kind === FrameKind.Error) this.#unread.written(headerBytes + payload.byteLength);
  }

  /**
   * Encodes a message that does not {@link fits} and sends it in pieces, when there is room.
   * `onSent` is called when the last piece has been handed over, `onFailed` when one cannot be.
   */
  writeInPieces<T>(
    message: OutgoingMessage,
    writer: PayloadWriter<T>,
    value: T,
    byteCount: number,
    onSent: () => void,
    onFailed: (error: PlugError) => void,
  ): BulkSend {
    const segments = gather(writer, value, byteCount);
    const send: BulkSend = { ...message, segments, byteCount, sentBytes: 0, onSent, onFailed };
    this.#bulk.add(send);
    this.#oweFlush();
    return send;
  }

  /** Sends no more of it. */
  stop(send: BulkSend): void {
    this.#bulk.remove(send);
  }

  /** Frames written until {@link endBatch} go out together. */
  startBatch(): void {
    this.#isBatching = true;
    this.#batchFrames = 0;
  }

  endBatch(): void {
    this.#isBatching = false;
    if (this.#isFlushOwed) this.#flush();
  }

  /** Hands over what is written, and not at the end of the turn. */
  flush(): void {
    this.#flush();
  }

  /** The transport has room again. */
  pump(): void {
    this.#bulk.pump();
  }

  close(): void {
    this.#isClosed = true;
    this.#bulk.clear();
  }

  // All frames of one turn go out in one write: at the end of the chunk that caused them, or else
  // in a microtask.
  #oweFlush(): void {
    if (this.#isBatching) this.#flushLongBatch();
    if (this.#isFlushOwed) return;
    this.#isFlushOwed = true;
    if (this.#isBatching || this.#isTaskDue) return;
    // One, however many callers who block flush by themselves before it runs.
    this.#isTaskDue = true;
    queueMicrotask(this.#flushTask);
  }

  // One chunk may hold thousands of requests, and their answers may be long or take their time:
  // the first ones do not wait for the last.
  #flushLongBatch(): void {
    this.#batchFrames += 1;
    // Most batches are of one frame, and need no clock.
    if (this.#batchFrames === 2) this.#batchStartMs = performance.now();
    if (this.#transport.unsentBytes >= flushBytes) this.#transport.flush();
    else if (this.#batchFrames % framesPerLook === 0) {
      const now = performance.now();
      if (now - this.#batchStartMs < flushMs) return;
      this.#batchStartMs = now;
      this.#transport.flush();
    }
  }

  #oweStreamFlush(): void {
    if (this.#isFlushOwed || this.#isBatching) {
      this.#oweFlush();
      return;
    }
    if (this.#streamWriteCount === 0) setImmediate(this.#endTurn);
    this.#streamWriteCount += 1;
    if (this.#streamWriteCount <= quickWriteCount) this.#oweFlush();
  }

  readonly #endTurn = (): void => {
    const hasWaiting = this.#streamWriteCount > quickWriteCount;
    this.#streamWriteCount = 0;
    if (hasWaiting) this.#flush();
  };

  readonly #flushTask = (): void => {
    this.#isTaskDue = false;
    if (this.#isFlushOwed && !this.#isBatching) this.#flush();
  };

  #flush(): void {
    this.#isFlushOwed = false;
    if (this.#isClosed) return;
    this.#transport.flush();
    if (this.#bulk.count > 0) this.#bulk.pump();
  }
}
