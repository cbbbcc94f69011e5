// Memory for a message's bytes.

/**
 * Memory whose contents do not matter, since all of it is about to be written.
 *
 * Measured: cleared memory takes 7 ns for 11 bytes, 18 for 100, 81 for 900 and 2,400 for 60,000;
 * memory as it comes 16, 20, 33 and 120.
 */
export function allocate(byteCount: number): Uint8Array<ArrayBuffer> {
  return byteCount < 128 ? new Uint8Array(byteCount) : Bun.allocUnsafe(byteCount);
}
