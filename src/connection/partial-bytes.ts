// Messages that come in pieces and are not complete: what they take of memory, all together.

import { PlugError } from "../error/plug-error.ts";

export class PartialBytes {
  readonly #maxBytes: number;
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Another piece is held. Returns why it must not be, if that is too much. */
  hold(byteCount: number): PlugError | undefined {
    this.#heldBytes += byteCount;
    if (this.#heldBytes <= this.#maxBytes) return undefined;
    return new PlugError(
      "resource_exhausted",
      `messages that have come in part take ${this.#heldBytes} bytes together, more than ${this.#maxBytes}, which is 16 times maxMessageBytes`,
    );
  }

  letGo(byteCount: number): void {
    this.#heldBytes -= byteCount;
  }
}
