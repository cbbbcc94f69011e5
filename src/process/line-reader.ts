// What a plugin prints, as lines: bounded, whatever it prints.

// A line that is longer comes in pieces.
const maxLineBytes = 16 * 1024;
const newline = 0x0a;

/** Cuts a stream of bytes into lines of text. */
export class LineReader {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new TextDecoder();
  #held: Uint8Array | undefined;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** The chunk is borrowed. */
  push(chunk: Uint8Array): void {
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(newline, from);
      if (at < 0) break;
      this.#emit(chunk.subarray(from, at));
      from = at + 1;
    }
    let rest = chunk.subarray(from);
    while (rest.byteLength + (this.#held?.byteLength ?? 0) >= maxLineBytes) {
      const room = maxLineBytes - (this.#held?.byteLength ?? 0);
      this.#emit(rest.subarray(0, room));
      rest = rest.subarray(room);
    }
    if (rest.byteLength > 0) this.#held = this.#withHeld(rest).slice();
  }

  /** The stream has ended: what is held is the last line. */
  end(): void {
    if (this.#held !== undefined) this.#emit(new Uint8Array(0));
  }

  #emit(bytes: Uint8Array): void {
    const line = this.#withHeld(bytes);
    this.#held = undefined;
    const end = line.byteLength > 0 && line[line.byteLength - 1] === 0x0d ? -1 : undefined;
    this.#onLine(this.#decoder.decode(line.subarray(0, end)));
  }

  #withHeld(bytes: Uint8Array): Uint8Array {
    const held = this.#held;
    if (held === undefined) return bytes;
    const both = new Uint8Array(held.byteLength + bytes.byteLength);
    both.set(held);
    both.set(bytes, held.byteLength);
    return both;
  }
}
