// The two halves of a stream without a connection: what they say goes to the test.

import { PlugError } from "bun-plug";

import { CreditPool, messageCostBytes } from "../../src/stream/credit.ts";
import { MessageReceiver } from "../../src/stream/message-receiver.ts";
import { MessageSender, type SentMessage } from "../../src/stream/message-sender.ts";
import { bytesWriter } from "./payloads.ts";

export const windowBytes = 1024;

/** A size that makes a message cost a quarter of the window. */
export const quarterBytes = windowBytes / 4 - messageCostBytes;

export interface TestSender {
  readonly sender: MessageSender;
  readonly pool: CreditPool;
  /** `"<size>"` for each message, and `"end"`. */
  readonly sent: string[];
  /** Says that the message that goes out in pieces has gone out. */
  finishPieces(): void;
  readonly stopped: SentMessage[];
  send(byteCount: number): void;
}

/** A sender whose messages of more than `maxFrameBytes` go out in pieces. */
export function newSender(
  options: { readonly pool?: CreditPool; readonly maxFrameBytes?: number } = {},
): TestSender {
  const { pool = new CreditPool(windowBytes), maxFrameBytes = Infinity } = options;
  const sent: string[] = [];
  const stopped: SentMessage[] = [];
  let onPiecesSent: (() => void) | undefined;
  const sender = new MessageSender(
    {
      sendMessage(_id, writer, value, onSent) {
        const byteCount = writer.size(value);
        sent.push(`${byteCount}`);
        if (byteCount <= maxFrameBytes) return { byteCount, bulk: undefined };
        onPiecesSent = onSent;
        return { byteCount, bulk: {} };
      },
      stopMessage: (message) => void stopped.push(message),
      sendEnd: () => void sent.push("end"),
    },
    pool,
    windowBytes,
  );
  return {
    sender,
    pool,
    sent,
    stopped,
    finishPieces: () => onPiecesSent?.(),
    send: (byteCount) => sender.send(bytesWriter, new Uint8Array(byteCount)),
  };
}

export interface TestReceiver {
  readonly receiver: MessageReceiver<string>;
  readonly pool: CreditPool;
  /** What was given back, frame by frame. */
  readonly credits: number[];
  cancelCount: number;
}

export function newReceiver(pool = new CreditPool(windowBytes)): TestReceiver {
  const test = { pool, credits: [] as number[], cancelCount: 0 };
  const receiver = new MessageReceiver<string>(
    {
      sendCredit: (byteCount) => void test.credits.push(byteCount),
      cancel: () => void (test.cancelCount += 1),
    },
    pool,
    windowBytes,
  );
  return Object.assign(test, { receiver });
}

export const broken = new PlugError("aborted", "broken");
