// Answers that have gone out whole and that nobody has read. They are not counted by call any more,
// so a peer that asks on and reads nothing would fill this side's memory.

import { PlugError } from "../error/plug-error.ts";
import type { Transport } from "../transport/transport.ts";

export class UnreadAnswers {
  readonly #transport: Transport;
  readonly #maxBytes: number;
  // Where each of them ends, counted in all bytes that ever go out, and how long it is.
  #answers: { readonly end: number; readonly byteCount: number }[] = [];
  #head = 0;
  #byteCount = 0;

  /** `maxBytes`: so much may wait for its reader. */
  constructor(transport: Transport, maxBytes: number) {
    this.#transport = transport;
    this.#maxBytes = maxBytes;
  }

  /** An answer has been written. Costs nothing while the transport takes what it is given. */
  written(byteCount: number): void {
    const { isCongested, sent, unsentBytes } = this.#transport;
    if (!isCongested) return;
    this.#answers.push({ end: sent.byteCount + unsentBytes, byteCount });
    this.#byteCount += byteCount;
  }

  /** @throws {PlugError} `protocol_error`: the peer leaves too much unread. */
  check(): void {
    if (this.#byteCount === 0) return;
    const { byteCount: sentBytes } = this.#transport.sent;
    for (let first = this.#answers[this.#head]; first !== undefined && first.end <= sentBytes;) {
      this.#byteCount -= first.byteCount;
      this.#head += 1;
      first = this.#answers[this.#head];
    }
    if (this.#head > 1024 || this.#head === this.#answers.length) {
      this.#answers = this.#answers.slice(this.#head);
      this.#head = 0;
    }
    if (this.#byteCount <= this.#maxBytes) return;
    throw new PlugError(
      "protocol_error",
      `the caller asks on, and leaves ${this.#byteCount} bytes of answers unread, more than ${this.#maxBytes}`,
    );
  }
}
