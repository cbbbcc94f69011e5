// Messages that come in pieces and are not complete: what they take of memory, all together, and
// where it is.

import { PlugError } from "../error/plug-error.ts";
import type { PieceRooms } from "../frame/frame-reader.ts";
import type { Reassembly } from "./reassembly.ts";

export class PartialBytes implements PieceRooms {
  readonly #maxBytes: number;
  readonly #messages = new Map<number, Reassembly>();
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get isExpecting(): boolean {
    return this.#messages.size > 0;
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

  /** `key`: the request id, or minus the request id if the callee sends the message. */
  begun(key: number, message: Reassembly): void {
    this.#messages.set(key, message);
  }

  ended(key: number, message: Reassembly): void {
    if (this.#messages.get(key) === message) this.#messages.delete(key);
  }

  roomFor(requestId: number, isFromCallee: boolean, byteCount: number): Uint8Array | undefined {
    return this.#messages.get(isFromCallee ? -requestId : requestId)?.roomFor(byteCount);
  }
}
