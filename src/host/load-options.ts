// The options of every load: defaults and checks in one place.

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import { transportNames, type TransportName } from "./offered-transports.ts";
import { checkServed, type Pair, type Served } from "../rpc/handler.ts";
import {
  checkedPeerOptions,
  type CheckedPeerOptions,
  type PeerOptions,
} from "../rpc/peer-options.ts";

/** A line that a plugin printed. */
export interface PluginLine {
  /** The plugin's name: its file's, without folder and ending. */
  readonly plugin: string;
  readonly stream: "stdout" | "stderr";
  /** Without the line's end. Lines of more than 16 KiB come in pieces. */
  readonly text: string;
}

/** Options of every load. All are optional. */
export interface LoadOptions extends PeerOptions {
  /** Arguments of the program. @defaultValue none */
  readonly args?: readonly string[] | undefined;

  /** Working directory of the program. @defaultValue the host's */
  readonly cwd?: string | undefined;

  /**
   * Environment variables of the program, on top of a short list that it gets from the host's: HOME,
   * LANG, LC_…, LOGNAME, NO_COLOR, PATH, PLUG_NO_FFI, PLUG_TRACE, SHELL, TERM, TMPDIR, TZ and USER.
   * BUN_FEATURE_FLAG_NO_ORPHANS is set, so that a Bun program ends with the host.
   */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;

  /**
   * Passes on the whole environment of the host, and not only the list above. What tells the host's
   * own Bun how to behave (BUN_OPTIONS, BUN_BE_BUN) is left out.
   *
   * @defaultValue false
   */
  readonly inheritEnv?: boolean | undefined;

  /** Gives the load up when it aborts: it rejects with `cancelled`. After it, it has no effect. */
  readonly signal?: AbortSignal | undefined;

  /**
   * Milliseconds in which the program must answer the handshake; after them it is killed and the
   * load rejects with `not_a_plugin`.
   *
   * @defaultValue 10,000. Valid: 1 to 2^31 - 1.
   */
  readonly startTimeoutMs?: number | undefined;

  /**
   * Milliseconds that `close()` waits for calls in flight to be answered; after them they reject
   * with `cancelled`.
   *
   * @defaultValue 5,000. Valid: 0 to 2^31 - 1.
   */
  readonly drainTimeoutMs?: number | undefined;

  /**
   * Milliseconds that a plugin may take to end by itself when its input has been closed, before
   * SIGTERM; and again before SIGKILL.
   *
   * @defaultValue 2,000. Valid: 0 to 2^31 - 1.
   */
  readonly stopTimeoutMs?: number | undefined;

  /**
   * Takes the lines that the plugin prints; `false` drops them. What it throws is
   * reported on the host's stderr.
   *
   * @defaultValue they go to the host's stderr, led by the plugin's name
   */
  readonly logger?: ((line: PluginLine) => void) | false | undefined;

  /**
   * Services that the plugin may call while it is loaded, with what answers:
   * `[[Logger, logger]]`. A handler of the plugin gets them by `context.host(Logger)`. Plugins built
   * with the Go original cannot call them.
   *
   * @defaultValue none
   */
  readonly offer?: readonly Pair<any>[] | undefined;

  /**
   * How the bytes travel. The best that both sides have is chosen; naming one here forces it, and
   * if it cannot be had the load rejects with `handshake_mismatch`. Plugins of the Go original
   * always use `"stdio"`.
   *
   * @defaultValue the best
   */
  readonly transport?: TransportName | undefined;

  /**
   * Looks for answers in shared memory for up to 50 µs before the process sleeps, where they lately
   * came that soon, and for up to 200 µs in the middle of a long message. The event loop has its turn
   * every 50 µs. It is never done where there is one core, or more busy plugins than cores.
   *
   * @defaultValue true
   */
  readonly poll?: boolean | undefined;
}

/** All options, checked. */
export interface CheckedLoadOptions extends CheckedPeerOptions {
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly inheritEnv: boolean;
  readonly signal: AbortSignal | undefined;
  readonly startTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly logger: (line: PluginLine) => void;
  readonly offer: readonly Served[];
  readonly transport: TransportName | undefined;
  readonly poll: boolean;
}

export const defaultSpans = {
  startTimeoutMs: 10_000,
  drainTimeoutMs: 5_000,
  stopTimeoutMs: 2_000,
};

// What the type checker has said already, for those who have none.
const shapes: readonly (readonly [
  name: keyof LoadOptions,
  isRight: (value: unknown) => boolean,
  wanted: string,
])[] = [
  ["args", (value) => Array.isArray(value) && value.every(isString), "an array of strings"],
  ["cwd", isString, "a string"],
  ["env", (value) => typeof value === "object" && value !== null, "an object of strings"],
  ["offer", isListOfPairs, "an array of [service, handler]"],
  ["poll", (value) => typeof value === "boolean", "true or false"],
  ["signal", (value) => value instanceof AbortSignal, "an AbortSignal"],
  ["logger", (value) => value === false || typeof value === "function", "a function or false"],
];

function isListOfPairs(value: unknown): boolean {
  return Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

const maxSpanMs = 2 ** 31 - 1;

/** @throws {PlugError} `invalid_argument`: names the option, its range and the value. */
export function checkedLoadOptions(options: LoadOptions): CheckedLoadOptions {
  const { transport } = options;
  for (const [name, isRight, wanted] of shapes) {
    const value = options[name];
    if (value !== undefined && !isRight(value)) {
      throw new PlugError("invalid_argument", `${name} must be ${wanted}, got ${textOf(value)}`);
    }
  }
  if (transport !== undefined && !transportNames.includes(transport)) {
    throw new PlugError(
      "invalid_argument",
      `transport must be "ring", "socket" or "stdio", got "${String(transport)}"`,
    );
  }
  return {
    args: options.args ?? [],
    cwd: options.cwd,
    env: options.env ?? {},
    inheritEnv: options.inheritEnv ?? false,
    signal: options.signal,
    startTimeoutMs: checkedSpan("startTimeoutMs", options.startTimeoutMs, 1),
    drainTimeoutMs: checkedSpan("drainTimeoutMs", options.drainTimeoutMs, 0),
    stopTimeoutMs: checkedSpan("stopTimeoutMs", options.stopTimeoutMs, 0),
    logger: checkedLogger(options.logger),
    ...checkedPeerOptions(options),
    offer: checkedOffer(options.offer),
    transport,
    poll: options.poll ?? true,
  };
}

function checkedOffer(offer: LoadOptions["offer"]): readonly Served[] {
  const served = (offer ?? []).map(([service, handler]) => ({ service, handler }));
  checkServed(served);
  return served;
}

function checkedSpan(
  name: keyof typeof defaultSpans,
  value: number | undefined,
  least: number,
): number {
  if (value === undefined) return defaultSpans[name];
  if (typeof value === "number" && value >= least && value <= maxSpanMs) return value;
  throw new PlugError(
    "invalid_argument",
    `${name} must be a number from ${least} to 2^31 - 1, got ${value}`,
  );
}

function checkedLogger(logger: LoadOptions["logger"]): (line: PluginLine) => void {
  if (logger === false) return () => {};
  if (logger === undefined) return printLine;
  return (line) => {
    try {
      logger(line);
    } catch (error) {
      console.error(`[${line.plugin}] logger threw: ${textOf(error)}`);
    }
  };
}

function printLine({ plugin, text }: PluginLine): void {
  console.error(`[${plugin}] ${text}`);
}
