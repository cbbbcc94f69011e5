// What the streams of a connection share, and their frames.

import { PlugError } from "../error/plug-error.ts";
import { FrameKind } from "../frame/frame-header.ts";
import type { CreditPool } from "../stream/credit.ts";
import type { SenderOutlet } from "../stream/message-sender.ts";
import type { BulkSend } from "./bulk-queue.ts";
import { noPayload, readU32, tooLarge } from "./frame-input.ts";
import type { FrameOutlet } from "./frame-outlet.ts";

/** Credit of one connection, in both directions. */
export interface StreamAccounts {
  readonly sendPool: CreditPool;
  readonly receivePool: CreditPool;
  /** Of one stream: what this side accepts, and what the peer does. */
  readonly windowBytes: number;
  readonly peerWindowBytes: number;
  /** Largest message that may be sent. */
  readonly maxMessageBytes: number;
}

/** How the messages of a stream go out. `flags` says whose request id it is. */
export function streamOutlet(
  outlet: FrameOutlet,
  flags: number,
  maxMessageBytes: number,
): SenderOutlet {
  const kind = FrameKind.Message;
  return {
    sendMessage(requestId, writer, value, onSent) {
      const byteCount = writer.size(value);
      if (byteCount > maxMessageBytes) throw tooLarge("message", byteCount, maxMessageBytes);
      if (outlet.fits(byteCount, false)) {
        outlet.writeMessage(kind, flags, 0, requestId, 0, writer, value, byteCount);
        return { byteCount, bulk: undefined };
      }
      const message = { kind, flags, methodId: 0, requestId, deadlineAt: 0 };
      const bulk = outlet.writeInPieces(message, writer, value, byteCount, onSent);
      return { byteCount, bulk };
    },
    stopMessage({ bulk }) {
      if (bulk !== undefined) outlet.stop(bulk as BulkSend);
    },
    sendEnd(requestId) {
      outlet.write(FrameKind.End, flags, requestId, noPayload);
    },
  };
}

export function creditPayload(byteCount: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, byteCount, true);
  return payload;
}

export function readCredit(buffer: Uint8Array, from: number, to: number): number {
  if (to - from !== 4) {
    throw new PlugError("protocol_error", `credit frame has ${to - from} bytes instead of 4`);
  }
  return readU32(buffer, from);
}
