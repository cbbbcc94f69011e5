// The options of every run: defaults and checks in one place.

import { checkedLimits, type Limits } from "../call/limits.ts";
import { PlugError } from "../error/plug-error.ts";

/** Options of every run. All are optional. */
export interface RunOptions {
  /**
   * Handlers that may run at once; calls beyond it wait until one is through. A handler that
   * returns a plain value, and not a promise, is through at once.
   *
   * @defaultValue 16,384. Valid: 1 to 1,048,576.
   */
  readonly maxRunningHandlers?: number | undefined;

  /**
   * Milliseconds that handlers may still run when the host has gone, before `run…` resolves all
   * the same.
   *
   * @defaultValue 5,000. Valid: 0 to 2^31 - 1.
   */
  readonly drainTimeoutMs?: number | undefined;

  /** Largest message accepted, in bytes. @defaultValue 64 MiB, see `Limits` */
  readonly maxMessageBytes?: number | undefined;

  /** Calls accepted at once. @defaultValue 16,384, see `Limits` */
  readonly maxInFlightCalls?: number | undefined;

  /**
   * Bytes of messages that one stream may have on their way to this side, or waiting in it for
   * their reader.
   *
   * @defaultValue 256 KiB, see `Limits`. Valid: 1 KiB to 1 GiB.
   */
  readonly streamWindowBytes?: number | undefined;

  /**
   * The same for all streams together.
   *
   * @defaultValue 16 MiB, see `Limits`. Valid: 1 KiB to 1 GiB.
   */
  readonly connectionWindowBytes?: number | undefined;
}

/** All options, checked. */
export interface CheckedRunOptions {
  readonly maxRunningHandlers: number;
  readonly drainTimeoutMs: number;
  readonly limits: Limits;
}

export const defaultRunOptions = { maxRunningHandlers: 16_384, drainTimeoutMs: 5_000 };

/** @throws {PlugError} `invalid_argument`: names the option, its range and the value. */
export function checkedRunOptions(options: RunOptions): CheckedRunOptions {
  const { maxRunningHandlers, drainTimeoutMs } = { ...defaultRunOptions, ...definedOf(options) };
  if (
    !Number.isInteger(maxRunningHandlers) ||
    maxRunningHandlers < 1 ||
    maxRunningHandlers > 2 ** 20
  ) {
    throw new PlugError(
      "invalid_argument",
      `maxRunningHandlers must be a whole number from 1 to 1048576, got ${maxRunningHandlers}`,
    );
  }
  if (!(drainTimeoutMs >= 0 && drainTimeoutMs <= 2 ** 31 - 1)) {
    throw new PlugError(
      "invalid_argument",
      `drainTimeoutMs must be a number from 0 to 2^31 - 1, got ${drainTimeoutMs}`,
    );
  }
  return { maxRunningHandlers, drainTimeoutMs, limits: checkedLimits(options) };
}

function definedOf({ maxRunningHandlers, drainTimeoutMs }: RunOptions) {
  return {
    ...(maxRunningHandlers === undefined ? {} : { maxRunningHandlers }),
    ...(drainTimeoutMs === undefined ? {} : { drainTimeoutMs }),
  };
}
