// The one error type of this package. Leaf: knows only the table of codes.

import { type ErrorCode, errorCodes, type Retry } from "./error-code.ts";
import { textOf } from "./text-of.ts";

// A registered symbol, because host and plugin may each bundle a copy of this package, and
// instanceof fails across copies.
const brand = Symbol.for("bun-plug.PlugError");

/** How a plugin process ended. If it had to be killed because of the error, both are null. */
export interface ProcessEnd {
  readonly exitCode: number | null;
  /** The signal's name, such as `"SIGKILL"`, or null if it was not killed by one. */
  readonly signal: string | null;
  /** The last lines that the process wrote on stderr, oldest first; at most 20. */
  readonly stderrTail: readonly string[];
}

/**
 * A typed detail of an error: a `google.protobuf.Any`, as `anyPack` of `@bufbuild/protobuf/wkt`
 * makes it and `anyUnpack` takes it.
 */
export interface ErrorDetail {
  readonly $typeName: "google.protobuf.Any";
  /** Such as `"type.googleapis.com/google.rpc.BadRequest"`. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export interface PlugErrorOptions {
  /** `"peer"` if the other side reported it. @defaultValue `"local"` */
  readonly origin?: "local" | "peer" | undefined;
  readonly cause?: unknown;
  /**
   * What a caller can go by, beside the code. They cross to it up to 16 KiB, all or none; not on
   * wire 1.
   *
   * @defaultValue none
   */
  readonly details?: readonly ErrorDetail[] | undefined;
  /** Where the other side threw it, if that side tells: see `exposeStack`. */
  readonly peerStack?: string | undefined;
  /** For a program that failed to start, or that ended: how. */
  readonly process?: ProcessEnd | undefined;
}

/**
 * The only error that this package throws or rejects with; handlers throw it to choose a code.
 *
 * Branch on `code`, never on the text.
 */
export class PlugError extends Error {
  override readonly name = "PlugError";
  /** One of a closed list, see `errorCodes`. */
  readonly code: ErrorCode;
  /** The message without the code that leads `message`. */
  readonly rawMessage: string;
  /** `"peer"` if the other side reported it, `"local"` if it arose on this side. */
  readonly origin: "local" | "peer";
  /** Typed details, in the order that they were given. */
  readonly details: readonly ErrorDetail[];
  /** The stack on the other side; undefined unless that runs with `exposeStack`. */
  declare readonly peerStack?: string;
  /** For a program that failed to start, or that ended: how. */
  declare readonly process?: ProcessEnd;

  constructor(code: ErrorCode, message: string, options: PlugErrorOptions = {}) {
    super(`[${code}] ${message}`, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.rawMessage = message;
    this.origin = options.origin ?? "local";
    this.details = options.details ?? [];
    if (options.peerStack !== undefined) this.peerStack = options.peerStack;
    if (options.process !== undefined) this.process = options.process;
  }

  /** Whether trying again makes sense, and on what: a fixed rule per code. */
  get retry(): Retry {
    // A caller without a type checker, or another copy of this package, may have codes of its own.
    return Object.hasOwn(errorCodes, this.code) ? errorCodes[this.code].retry : "never";
  }

  get [brand](): true {
    return true;
  }
}

/** Like `instanceof PlugError`, but true across copies of this package. */
export function isPlugError(value: unknown): value is PlugError {
  return value instanceof Error && brand in value;
}

/** Whatever was thrown, as a PlugError: `internal` if it is not one. */
export function asPlugError(error: unknown): PlugError {
  if (isPlugError(error)) return error;
  return new PlugError("internal", textOf(error), { cause: error });
}
