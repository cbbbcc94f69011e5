// What the rest of the package needs of a message: its size, its bytes, and the way back.
//
// Knows nothing of frames or calls. Generated code makes one codec per message type.

/**
 * Writes and reads the messages of one type.
 *
 * `T` is the message as protobuf-es has it, `Init` what users may pass in its place.
 */
export interface MessageCodec<T, Init = T> {
  /** The message's full name, for error texts. */
  readonly typeName: string;

  /** A complete message from what a user passed; a complete message passes through. */
  from(init: Init): T;

  /**
   * The encoded size, in bytes. Must be called right before {@link write} on the same message:
   * a codec may keep what it found out between the two.
   */
  size(message: T): number;

  /** Writes exactly the `size` bytes that were announced, and returns the offset behind them. */
  write(message: T, buffer: Uint8Array, at: number): number;

  /**
   * Reads a message from `buffer[from, to)`.
   *
   * Ownership: what it returns is safe to keep. With `owned` the range belongs to the message
   * from now on, and `bytes` fields may be views of it; without, they are copies.
   *
   * @throws {PlugError} `data_loss`: the bytes are not a message of this type.
   */
  read(buffer: Uint8Array, from: number, to: number, owned: boolean): T;
}
