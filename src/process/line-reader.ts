// What a plugin prints, as lines: bounded, whatever it prints.

// A line that is longer comes in pieces.
const maxLineBytes = 16 * 1024;
const newline = 0x0a;
const carriageReturn = 0x0d;

/** Cuts a stream of bytes into lines of text. */
export class LineReader {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new TextDecoder();
  // The start of a line, or of the next piece of one.
  #held: Uint8Array | undefined;
  #heldBytes = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** The chunk is borrowed. */
  push(chunk: Uint8Array): void {
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(newline, from);
      if (at < 0) break;
      this.#hold(chunk.subarray(from, at));
      this.#emitLine();
      from = at + 1;
    }
    this.#hold(chunk.subarray(from));
  }

  /** The stream has ended: what is held is the last line. */
  end(): void {
    if (this.#heldBytes > 0) this.#emitLine();
  }

  // A piece is given away when more of its line comes, so that a line of just the longest length
  // has no empty piece behind it.
  #hold(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    const held = (this.#held ??= new Uint8Array(maxLineBytes));
    while (this.#heldBytes + bytes.byteLength > maxLineBytes) {
      const room = maxLineBytes - this.#heldBytes;
      held.set(bytes.subarray(0, room), this.#heldBytes);
      bytes = bytes.subarray(room);
      const end = characterEnd(held, bytes[0] as number);
      this.#emit(held.subarray(0, end));
      held.copyWithin(0, end);
      this.#heldBytes = maxLineBytes - end;
    }
    held.set(bytes, this.#heldBytes);
    this.#heldBytes += bytes.byteLength;
  }

  #emitLine(): void {
    let end = this.#heldBytes;
    if (this.#held?.[end - 1] === carriageReturn) end -= 1;
    this.#emit(this.#held?.subarray(0, end));
    this.#heldBytes = 0;
  }

  #emit(bytes: Uint8Array | undefined): void {
    this.#onLine(bytes === undefined ? "" : this.#decoder.decode(bytes));
  }
}

// Where a full piece may end without cutting a character of UTF-8 in two.
function characterEnd(piece: Uint8Array, next: number): number {
  let end = piece.byteLength;
  for (let back = 0; back < 3 && isContinuation(next); back++) {
    end -= 1;
    next = piece[end] as number;
  }
  return isContinuation(next) ? piece.byteLength : end;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
