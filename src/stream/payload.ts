// How a message passes through a connection that does not know what a message is.

/** Writes a value straight behind a frame's header. */
export interface PayloadWriter<T> {
  /** The encoded size of `value`, in bytes. Called right before {@link write}. */
  size(value: T): number;
  /** Writes exactly that many bytes and returns the offset behind them. */
  write(value: T, buffer: Uint8Array, at: number): number;
}

/** Writes nothing: for frames that have no message. */
export const emptyWriter: PayloadWriter<unknown> = {
  size: () => 0,
  write: (_value, _buffer, at) => at,
};

/** Reads a value from a frame. */
export interface PayloadReader<R> {
  /**
   * Reads `buffer[from, to)`, which is borrowed: what is returned must not refer to it. With
   * `owned` the memory is the reader's to keep.
   */
  read(buffer: Uint8Array, from: number, to: number, owned: boolean): R;
}
