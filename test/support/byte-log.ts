// A receiver that remembers what it was told.

import type { Receiver, Transport } from "../../src/transport/transport.ts";
import { joined } from "./cuts.ts";

export class ByteLog implements Receiver {
  readonly #chunks: Uint8Array[] = [];
  #byteCount = 0;
  #waits: { readonly isOver: () => boolean; readonly resolve: () => void }[] = [];
  writableCount = 0;
  endCount = 0;
  cause: Error | undefined;
  /** Chunks that came after the end. */
  lateCount = 0;

  receive(chunk: Uint8Array, from: number, to: number): void {
    if (this.endCount > 0) this.lateCount += 1;
    this.#chunks.push(chunk.slice(from, to));
    this.#byteCount += to - from;
    this.#look();
  }

  writable(): void {
    this.writableCount += 1;
    this.#look();
  }

  ended(cause?: Error): void {
    this.endCount += 1;
    this.cause = cause;
    this.#look();
  }

  get bytes(): Uint8Array {
    return joined(...this.#chunks);
  }

  get byteCount(): number {
    return this.#byteCount;
  }

  /** Resolves when so many bytes have come. */
  received(byteCount: number): Promise<void> {
    return this.#until(() => this.#byteCount >= byteCount);
  }

  wasWritable(): Promise<void> {
    return this.#until(() => this.writableCount > 0);
  }

  hasEnded(): Promise<void> {
    return this.#until(() => this.endCount > 0);
  }

  #until(isOver: () => boolean): Promise<void> {
    if (isOver()) return Promise.resolve();
    return new Promise((resolve) => this.#waits.push({ isOver, resolve }));
  }

  #look(): void {
    const over = this.#waits.filter(({ isOver }) => isOver());
    this.#waits = this.#waits.filter((wait) => !over.includes(wait));
    for (const { resolve } of over) resolve();
  }
}

/** Writes bytes behind each other, and hands them to the kernel. */
export function send(transport: Transport, bytes: Uint8Array): void {
  const at = transport.reserve(bytes.byteLength);
  transport.buffer.set(bytes, at);
  transport.commit(at + bytes.byteLength);
  transport.flush();
}
