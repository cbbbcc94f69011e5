// Options that both sides have.

import { checkedCount, checkedLimits, type LimitOptions, type Limits } from "../call/limits.ts";
import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { Interceptor } from "./interceptor.ts";
import type { VersionsOption } from "./versions.ts";

/** Options of every load and every run. All are optional. */
export interface PeerOptions extends LimitOptions {
  /**
   * Versions of the service that this side can work with, of which the highest that both sides have
   * is agreed on. Where several services are loaded, run or offered: an object of such lists by
   * full name.
   *
   * @defaultValue the version in the `.proto` alone
   */
  readonly versions?: VersionsOption | undefined;

  /**
   * See and may change every call: those that this side places, and those that its handlers answer.
   * The first one is the outermost.
   *
   * @defaultValue none
   */
  readonly interceptors?: readonly Interceptor[] | undefined;

  /**
   * Sends the stack of what a handler of this side throws to the caller, as `peerStack`. Stacks tell
   * of files and of code.
   *
   * @defaultValue false
   */
  readonly exposeStack?: boolean | undefined;

  /**
   * Objects of this side that the other refers to, at once. One more fails with
   * `resource_exhausted`.
   *
   * @defaultValue 65,536. Valid: 0 to 1,048,576.
   */
  readonly maxReferences?: number | undefined;
}

/** The same, checked. */
export interface CheckedPeerOptions {
  readonly limits: Limits;
  readonly versions: VersionsOption | undefined;
  readonly interceptors: readonly Interceptor[];
  readonly exposeStack: boolean;
  readonly maxReferences: number;
}

const defaultMaxReferences = 65_536;

/** @throws {PlugError} `invalid_argument`: names the option, its range and the value. */
export function checkedPeerOptions(options: PeerOptions): CheckedPeerOptions {
  const { versions, interceptors = [], exposeStack = false } = options;
  const areFunctions =
    Array.isArray(interceptors) && interceptors.every((one) => typeof one === "function");
  if (!areFunctions) throw wrong("interceptors", "an array of functions", interceptors);
  if (versions !== undefined && (typeof versions !== "object" || versions === null)) {
    throw wrong("versions", "an array of numbers, or an object of such arrays", versions);
  }
  if (typeof exposeStack !== "boolean") throw wrong("exposeStack", "true or false", exposeStack);
  const { maxReferences = defaultMaxReferences } = options;
  return {
    limits: checkedLimits(options),
    versions,
    interceptors,
    exposeStack,
    maxReferences: checkedCount("maxReferences", maxReferences, [0, 2 ** 20]),
  };
}

function wrong(name: string, wanted: string, value: unknown): PlugError {
  return new PlugError("invalid_argument", `${name} must be ${wanted}, got ${textOf(value)}`);
}
