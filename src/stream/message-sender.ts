// The sending half of a stream: messages go out while there is credit.

import { PlugError } from "../error/plug-error.ts";
import { type CreditPool, messageCostBytes } from "./credit.ts";
import type { PayloadWriter } from "./payload.ts";

/** Where the messages of a stream go. */
export interface SenderOutlet {
  /**
   * Sends one message. Returns its size in bytes; calls `onSent` later if the message is so long
   * that it goes out in pieces, and not at all if it went out at once.
   *
   * @throws {PlugError} `resource_exhausted` or `invalid_argument`: it cannot be sent.
   */
  sendMessage<T>(id: number, writer: PayloadWriter<T>, value: T, onSent: () => void): SentMessage;
  /** Sends no more of a message that goes out in pieces. */
  stopMessage(message: SentMessage): void;
  /** Says that there are no more messages. */
  sendEnd(id: number): void;
}

export interface SentMessage {
  readonly byteCount: number;
  /** Undefined if it went out at once. */
  readonly bulk: object | undefined;
}

export class MessageSender {
  readonly #outlet: SenderOutlet;
  readonly #pool: CreditPool;
  readonly #windowBytes: number;
  #id = 0;
  #outstandingBytes = 0;
  // The message that is going out in pieces.
  #current: SentMessage | undefined;
  #wake: (() => void) | undefined;
  #stopReason: PlugError | undefined;
  /** The peer knows that there are no more messages. */
  isEnded = false;
  /** Told once, when nothing may be sent any more. */
  onStop: (() => void) | undefined;

  constructor(outlet: SenderOutlet, pool: CreditPool, windowBytes: number) {
    this.#outlet = outlet;
    this.#pool = pool;
    this.#windowBytes = windowBytes;
  }

  /** The call has an id: messages may go out. */
  open(id: number): void {
    this.#id = id;
    this.#wakeUp();
  }

  get stopReason(): PlugError | undefined {
    return this.#stopReason;
  }

  /** Nothing may be sent any more. */
  get isStopped(): boolean {
    return this.#stopReason !== undefined;
  }

  /** Whether {@link send} may be called. */
  get isReady(): boolean {
    return (
      this.#stopReason === undefined &&
      this.#id !== 0 &&
      this.#current === undefined &&
      this.#outstandingBytes < this.#windowBytes &&
      (this.#outstandingBytes === 0 || !this.#pool.isExhausted)
    );
  }

  /**
   * Resolves when a message may be sent, or when none may be sent any more. Whoever waited looks at
   * {@link isReady} once more: another stream may have been quicker.
   */
  async ready(): Promise<void> {
    while (!this.isReady && !this.isStopped) await this.#change();
  }

  /** Resolves when everything has gone out, or nothing will. */
  async flushed(): Promise<void> {
    while ((this.#id === 0 || this.#current !== undefined) && this.#stopReason === undefined) {
      await this.#change();
    }
  }

  /** Sends a message. Only while {@link isReady}. */
  send<T>(writer: PayloadWriter<T>, value: T): void {
    const message = this.#outlet.sendMessage(this.#id, writer, value, () => {
      this.#current = undefined;
      this.#wakeUp();
    });
    if (message.bulk !== undefined) this.#current = message;
    const cost = message.byteCount + messageCostBytes;
    this.#outstandingBytes += cost;
    this.#pool.charge(cost);
  }

  /** Says that there are no more messages. After {@link flushed}. */
  end(): void {
    if (this.#stopReason !== undefined || this.isEnded) return;
    this.isEnded = true;
    this.#outlet.sendEnd(this.#id);
  }

  /**
   * The reader has read so many bytes.
   *
   * @throws {PlugError} `protocol_error`: that is more than was sent.
   */
  onCredit(byteCount: number): void {
    if (byteCount > this.#outstandingBytes) {
      throw new PlugError(
        "protocol_error",
        `credit of ${byteCount} bytes for request id ${this.#id}, which has ${this.#outstandingBytes} outstanding`,
      );
    }
    this.#outstandingBytes -= byteCount;
    this.#pool.release(byteCount);
    this.#wakeUp();
  }

  /**
   * Nothing may be sent any more. The first reason stays. What is outstanding stays so: the reader
   * knows nothing of it yet.
   */
  stop(reason: PlugError): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    if (this.#current !== undefined) this.#outlet.stopMessage(this.#current);
    this.#current = undefined;
    this.onStop?.();
    this.#wakeUp();
  }

  /** The call is over, and the reader knows or is about to hear it: {@link stop}, and no accounts. */
  close(reason: PlugError): void {
    this.stop(reason);
    this.#pool.release(this.#outstandingBytes);
    this.#outstandingBytes = 0;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#pool.stopWaiting(wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      if (this.#pool.isExhausted) this.#pool.wait(wake);
    });
  }

  #wakeUp(): void {
    this.#wake?.();
  }
}
