// What the streams of a connection share, and their frames.

import type { PlugError } from "../error/plug-error.ts";
import { FrameKind } from "../frame/frame-header.ts";
import type { CreditPool } from "../stream/credit.ts";
import type { SenderOutlet } from "../stream/message-sender.ts";
import type { BulkSend } from "./bulk-queue.ts";
import type { PartialBytes } from "./partial-bytes.ts";
import { noPayload, tooLarge } from "./frame-input.ts";
import type { FrameOutlet } from "./frame-outlet.ts";

/** Credit of one connection, in both directions. */
export interface StreamAccounts {
  readonly sendPool: CreditPool;
  readonly receivePool: CreditPool;
  /** Of one stream: what this side accepts, and what the peer does. */
  readonly windowBytes: number;
  readonly peerWindowBytes: number;
  /** Of messages that come in pieces, whatever they are of. */
  readonly partialBytes: PartialBytes;
  /** Largest message that may be sent. */
  readonly maxMessageBytes: number;
}

/**
 * How the messages of a stream go out. `flags` says whose request id it is; `onFailed` is called
 * where one cannot be sent to its end, `beforeMessage` before each, and may throw what speaks
 * against sending it.
 */
export function streamOutlet(
  outlet: FrameOutlet,
  flags: number,
  maxMessageBytes: number,
  onFailed: (error: PlugError) => void,
  beforeMessage?: () => void,
): SenderOutlet {
  const kind = FrameKind.Message;
  return {
    sendMessage(requestId, writer, value, onSent) {
      const byteCount = writer.size(value);
      if (byteCount > maxMessageBytes) throw tooLarge("message", byteCount, maxMessageBytes);
      beforeMessage?.();
      if (outlet.fits(byteCount, false, undefined)) {
        outlet.writeMessage(kind, flags, 0, requestId, 0, undefined, writer, value, byteCount);
        return { byteCount, bulk: undefined };
      }
      const message = { kind, flags, methodId: 0, requestId, deadlineAt: 0, preface: undefined };
      const bulk = outlet.writeInPieces(message, writer, value, byteCount, onSent, onFailed);
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
