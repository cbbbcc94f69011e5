// The options of every run: defaults and checks in one place.

import { checkedCount } from "../call/limits.ts";
import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import {
  checkedPeerOptions,
  type CheckedPeerOptions,
  type PeerOptions,
} from "../rpc/peer-options.ts";

/** Options of every run. All are optional. */
export interface RunOptions extends PeerOptions {
  /**
   * Handlers that may run at once; calls beyond it wait until one is through. A handler that
   * returns a plain value, and not a promise, is through at once.
   *
   * @defaultValue 16,384. Valid: 1 to 1,048,576.
   */
  readonly maxRunningHandlers?: number | undefined;

  /**
   * Milliseconds that handlers may still run when the host has gone or `signal` has aborted,
   * before `run…` resolves all the same.
   *
   * @defaultValue 5,000. Valid: 0 to 2^31 - 1.
   */
  readonly drainTimeoutMs?: number | undefined;

  /**
   * When it aborts, the plugin takes no new calls (the host's fail with `draining`, and were not
   * started), answers those in flight, and ends: `run…` resolves.
   *
   * @defaultValue none: a plugin lives as long as its host
   */
  readonly signal?: AbortSignal | undefined;
}

/** All options, checked. */
export interface CheckedRunOptions extends CheckedPeerOptions {
  readonly maxRunningHandlers: number;
  readonly drainTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export const defaultRunOptions = { maxRunningHandlers: 16_384, drainTimeoutMs: 5_000 };

/** @throws {PlugError} `invalid_argument`: names the option, its range and the value. */
export function checkedRunOptions(options: RunOptions): CheckedRunOptions {
  const { maxRunningHandlers, drainTimeoutMs } = { ...defaultRunOptions, ...definedOf(options) };
  checkedCount("maxRunningHandlers", maxRunningHandlers, [1, 2 ** 20]);
  if (!(drainTimeoutMs >= 0 && drainTimeoutMs <= 2 ** 31 - 1)) {
    throw new PlugError(
      "invalid_argument",
      `drainTimeoutMs must be a number from 0 to 2^31 - 1, got ${drainTimeoutMs}`,
    );
  }
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new PlugError("invalid_argument", `signal must be an AbortSignal, got ${textOf(signal)}`);
  }
  return { maxRunningHandlers, drainTimeoutMs, signal, ...checkedPeerOptions(options) };
}

function definedOf({ maxRunningHandlers, drainTimeoutMs }: RunOptions) {
  return {
    ...(maxRunningHandlers === undefined ? {} : { maxRunningHandlers }),
    ...(drainTimeoutMs === undefined ? {} : { drainTimeoutMs }),
  };
}
