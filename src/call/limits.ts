// What one side accepts from the other, and what it allows itself.

import { PlugError } from "../error/plug-error.ts";

/** Limits that one side sets; the handshake tells them to the other. */
export interface Limits {
  /**
   * Largest message that this side accepts, and that it sends, in encoded bytes; the lower number
   * of both sides counts for what is sent. A longer one is rejected with
   * `resource_exhausted` before memory is taken for it, and the connection goes on; that of a
   * plugin built with the Go original, whose answers cannot be skipped, is closed.
   *
   * @defaultValue 64 MiB. Valid: 1 KiB to 1 GiB.
   */
  readonly maxMessageBytes: number;

  /**
   * Calls that this side has in flight at once, and that it accepts from the other. The lower
   * number of both sides counts. One more call waits for its turn with its deadline running.
   *
   * @defaultValue 16,384. Valid: 1 to 1,048,576.
   */
  readonly maxInFlightCalls: number;

  /**
   * Bytes of messages that one stream may have on their way to this side, or waiting in it for
   * their reader. The last message may go beyond it.
   *
   * @defaultValue 256 KiB. Valid: 1 KiB to 1 GiB.
   */
  readonly streamWindowBytes: number;

  /**
   * The same for all streams of the connection together. A stream that has nothing on its way may
   * start a message all the same, so that stuck streams do not stop the others.
   *
   * @defaultValue 16 MiB. Valid: 1 KiB to 1 GiB.
   */
  readonly connectionWindowBytes: number;
}

/** The one place where the defaults live. */
export const defaultLimits: Limits = {
  maxMessageBytes: 64 * 1024 * 1024,
  maxInFlightCalls: 16_384,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 16 * 1024 * 1024,
};

const ranges: Record<keyof Limits, readonly [number, number]> = {
  maxMessageBytes: [1024, 1024 * 1024 * 1024],
  maxInFlightCalls: [1, 1024 * 1024],
  streamWindowBytes: [1024, 1024 * 1024 * 1024],
  connectionWindowBytes: [1024, 1024 * 1024 * 1024],
};

/**
 * Fills in the defaults and checks the rest.
 *
 * @throws {PlugError} `invalid_argument`: a value out of its range.
 */
export function checkedLimits(given: {
  readonly [K in keyof Limits]?: number | undefined;
}): Limits {
  const limits = { ...defaultLimits };
  for (const name of Object.keys(ranges) as (keyof Limits)[]) {
    const value = given[name];
    if (value === undefined) continue;
    const [least, most] = ranges[name];
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new PlugError(
        "invalid_argument",
        `${name} must be a whole number from ${least} to ${most}, got ${value}`,
      );
    }
    limits[name] = value;
  }
  return limits;
}
