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
   * @defaultValue 16,384. Valid: 1 to 524,288.
   */
  readonly maxInFlightCalls: number;

  /**
   * The same for calls that stream, which are not counted among the others: streams that nobody
   * reads do not keep other calls waiting.
   *
   * @defaultValue 4,096. Valid: 1 to 262,144.
   */
  readonly maxInFlightStreams: number;

  /**
   * The same for calls that a handler makes with its context. They are not counted among the
   * others, and do not wait, since the calls that they are made for may hold every place there is:
   * one more fails with `resource_exhausted`.
   *
   * @defaultValue 16,384. Valid: 1 to 262,144.
   */
  readonly maxNestedCalls: number;

  /**
   * Headers of one request, of one response, or trailers, in encoded bytes. Longer ones are
   * rejected with `resource_exhausted`.
   *
   * @defaultValue 8 KiB. Valid: 0 to 16 KiB.
   */
  readonly maxMetadataBytes: number;

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

/** Options that set limits; what is left out has its default. */
export type LimitOptions = { readonly [K in keyof Limits]?: number | undefined };

/** The one place where the defaults live. */
export const defaultLimits: Limits = {
  maxMessageBytes: 64 * 1024 * 1024,
  maxInFlightCalls: 16_384,
  maxInFlightStreams: 4_096,
  maxNestedCalls: 16_384,
  maxMetadataBytes: 8 * 1024,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 16 * 1024 * 1024,
};

/** The least and the most that each may be. */
export const limitRanges: Record<keyof Limits, readonly [number, number]> = {
  maxMessageBytes: [1024, 1024 * 1024 * 1024],
  // Together no more than there are slots for request ids: see connection/call-table.ts.
  maxInFlightCalls: [1, 512 * 1024],
  maxInFlightStreams: [1, 256 * 1024],
  maxNestedCalls: [1, 256 * 1024],
  // With the longest error it still fits into one frame.
  maxMetadataBytes: [0, 16 * 1024],
  streamWindowBytes: [1024, 1024 * 1024 * 1024],
  connectionWindowBytes: [1024, 1024 * 1024 * 1024],
};

/**
 * Fills in the defaults and checks the rest.
 *
 * @throws {PlugError} `invalid_argument`: a value out of its range.
 */
export function checkedLimits(given: LimitOptions): Limits {
  const limits = { ...defaultLimits };
  for (const name of Object.keys(limitRanges) as (keyof Limits)[]) {
    const value = given[name];
    if (value !== undefined) limits[name] = checkedCount(name, value, limitRanges[name]);
  }
  return limits;
}

/** What is held for a peer that goes on neither with its messages nor with reading answers. */
export function maxHeldBytes({ maxMessageBytes }: Limits): number {
  return 16 * maxMessageBytes;
}

/** @throws {PlugError} `invalid_argument`: it is no whole number, or out of its range. */
export function checkedCount(
  name: string,
  value: number,
  [least, most]: readonly [number, number],
): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new PlugError(
    "invalid_argument",
    `${name} must be a whole number from ${least} to ${most}, got ${value}`,
  );
}

/** Calls that share an allowance. Each kind has its own, so that none can use up another's. */
export const CallClass = { Call: 0, Stream: 1, Nested: 2 } as const;
export type CallClass = (typeof CallClass)[keyof typeof CallClass];

/** The limits that are allowances, by {@link CallClass}. */
export const allowanceNames = ["maxInFlightCalls", "maxInFlightStreams", "maxNestedCalls"] as const;

/** How many calls there may be, by {@link CallClass}: the lower number of both sides. */
export function allowances(limits: Limits, peer: Limits = limits): readonly number[] {
  return allowanceNames.map((name) => Math.min(limits[name], peer[name]));
}

export function classOf(isNested: boolean, streamFlags: number): CallClass {
  if (isNested) return CallClass.Nested;
  return streamFlags === 0 ? CallClass.Call : CallClass.Stream;
}
