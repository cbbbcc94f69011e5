// The clock of all measurements.

/**
 * Nanoseconds since the process started.
 *
 * Not by `Bun.nanoseconds()`, which gives whole numbers: they pass 2^31 after 2.1 s, and code that
 * was compiled for small integers is thrown away then, in the middle of a measurement.
 */
export function nowNs(): number {
  return performance.now() * 1e6;
}
