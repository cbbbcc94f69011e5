// A loaded plugin: calls go through it while it lives, and it ends in bounded steps.

import type { ClientConnection } from "../call/client-connection.ts";
import { PlugError, type ProcessEnd } from "../error/plug-error.ts";
import { type Child, endText } from "../process/child.ts";
import { endsWithin, stopChild } from "../process/stop.ts";
import { within } from "../process/within.ts";
import type { CallTarget } from "../rpc/bound-service.ts";
import type { CheckedLoadOptions } from "./load-options.ts";
import type { StartedPlugin } from "./start-plugin.ts";

/** What is known of a plugin's traffic. */
export interface PluginStats {
  /** `2`, or `1` for a plugin built with the Go original. */
  readonly wire: 1 | 2;
  readonly transport: "stdio" | "socket" | "memory";
  /** Calls placed that are not settled. */
  readonly inFlightCount: number;
  /** Writes to the kernel, and the bytes in them. */
  readonly writeCount: number;
  readonly sentBytes: number;
}

/** The process behind what a load returned. */
export interface PluginHandle extends AsyncDisposable {
  /** The file's name, without folder and the ending of a script. */
  readonly name: string;
  /** Undefined for a plugin that a test runs in its own process. */
  readonly pid: number | undefined;
  /**
   * Resolves when the process has gone and everything has been given back: with the reason,
   * `plugin_exited` if it ended by itself, `unavailable` if it was closed. It never rejects.
   */
  readonly closed: Promise<PlugError>;
  /**
   * Lets the calls in flight finish, takes no new ones, and stops the process. Each step is
   * bounded; see `drainTimeoutMs` and `stopTimeoutMs`. It never rejects, and may be called again.
   */
  close(): Promise<void>;
  stats(): PluginStats;
  /** The host stays alive while the plugin is loaded. This is so unless told otherwise. */
  ref(): void;
  /**
   * The host may exit while no call is in flight; the plugin then stops too. Where bun:ffi is not
   * to be had this has no effect, since Bun cannot unreference the streams that it makes itself; on
   * macOS an idle plugin's prints are then not read until the next call.
   */
  unref(): void;
}

// Between the first sign of a death and the error for it: in this span the exit code, the last
// answers and the last words come in.
const lastSignsMs = 1_000;
// The same, once the process is known to have ended.
const lastBytesMs = 250;

export class LoadedPlugin implements PluginHandle, CallTarget {
  readonly name: string;
  readonly closed: Promise<PlugError>;
  readonly #options: CheckedLoadOptions;
  readonly #resolveClosed: (reason: PlugError) => void;
  #started: StartedPlugin | undefined;
  #closing: Promise<void> | undefined;
  #transportEnd = Promise.withResolvers<void>();
  #isTransportEnded = false;
  // What is known of a death comes in by and by; nobody closes before it is there.
  #dying: Promise<void> | undefined;
  #isReferenced = true;
  #onDrained: (() => void) | undefined;

  constructor(name: string, options: CheckedLoadOptions) {
    this.name = name;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<PlugError>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  /** What the connection tells. */
  readonly events = {
    onEnded: () => {
      this.#isTransportEnded = true;
      this.#transportEnd.resolve();
      if (this.#started !== undefined) void this.#died(); // else attach() comes back to it
    },
    onClosed: () => {
      this.#onDrained?.();
      // By itself, if the plugin broke the wire format: then nothing is left to ask it.
      if (this.#started !== undefined) void this.close();
    },
    onBusy: () => {
      if (!this.#isReferenced) this.#setReferenced(true);
    },
    onIdle: () => {
      this.#onDrained?.();
      if (!this.#isReferenced) this.#setReferenced(false);
    },
  };

  /** Takes over a plugin that has answered. */
  attach(started: StartedPlugin): void {
    this.#started = started;
    if (this.#isTransportEnded) void this.#died();
    if (started.connection.closeReason !== undefined) void this.close();
    void started.child.ended.then(() => this.#died());
  }

  get pid(): number {
    return this.#parts.child.pid;
  }

  connection(): ClientConnection {
    const { connection } = this.#parts;
    if (this.#closing === undefined || connection.closeReason !== undefined) return connection;
    throw new PlugError("draining", `plugin "${this.name}" is being closed; the call was not sent`);
  }

  stats(): PluginStats {
    const { wire, transport, connection } = this.#parts;
    return {
      wire,
      transport: transport.kind,
      inFlightCount: connection.inFlightCount,
      writeCount: transport.sent.writeCount,
      sentBytes: transport.sent.byteCount,
    };
  }

  ref(): void {
    this.#isReferenced = true;
    this.#setReferenced(true);
  }

  unref(): void {
    this.#isReferenced = false;
    if (this.#parts.connection.inFlightCount === 0) this.#setReferenced(false);
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      // Known before the first step is taken: what is closed in it calls back here.
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#closing = promise;
      void this.#close().then(resolve);
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #parts(): StartedPlugin {
    return this.#started as StartedPlugin;
  }

  #setReferenced(isReferenced: boolean): void {
    const { child, stdio, transport } = this.#parts;
    for (const part of [child, stdio, transport]) {
      if (isReferenced) part.ref();
      else part.unref();
    }
  }

  async #close(): Promise<void> {
    const { child, connection, wire, stdio } = this.#parts;
    if (this.#dying !== undefined) await this.#dying;
    if (connection.closeReason === undefined) {
      this.#setReferenced(true); // the steps below are worth staying alive for
      await this.#drained();
    }
    connection.close(
      new PlugError("unavailable", `plugin "${this.name}" was closed`),
      new PlugError(
        "cancelled",
        `plugin "${this.name}" was closed before it answered; drainTimeoutMs is ${this.#options.drainTimeoutMs}`,
      ),
    );
    // Before the rest of its output is closed, so that what it still prints has somewhere to go.
    stdio.closeWrite();
    const { stopTimeoutMs } = this.#options;
    await stopChild(child, { stopTimeoutMs, isDeafToEnd: wire === 1 });
    stdio.close();
    this.#resolveClosed(connection.closeReason as PlugError);
  }

  async #drained(): Promise<void> {
    const { connection } = this.#parts;
    if (connection.inFlightCount === 0 || connection.closeReason !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onDrained = resolve;
    await within(promise, this.#options.drainTimeoutMs);
    this.#onDrained = undefined;
  }

  // The transport has ended, or the process has: whichever is first. Calls in flight are rejected
  // once it is known how; until then, answers that were sent before the end still arrive.
  #died(): Promise<void> {
    this.#dying ??= this.#findOutHow();
    return this.#dying;
  }

  async #findOutHow(): Promise<void> {
    if (this.#started === undefined) return;
    const { child, connection } = this.#started;
    if (connection.closeReason !== undefined) return;
    await endsWithin(child, lastSignsMs);
    if (child.end !== undefined && !this.#isTransportEnded) {
      await within(this.#transportEnd.promise, lastBytesMs);
    }
    connection.close(this.#deathReason(child, connection.inFlightCount));
  }

  #deathReason(child: Child, inFlightCount: number): PlugError {
    const { end } = child;
    const what =
      end === undefined
        ? "has closed its connection, though its process still runs; it will be killed"
        : endText(end);
    const calls = `${inFlightCount} ${inFlightCount === 1 ? "call was" : "calls were"} in flight`;
    return new PlugError(
      "plugin_exited",
      `plugin "${this.name}" ${what} while ${calls}${lastWords(end?.stderrTail ?? child.stderrTail)}`,
      end === undefined ? {} : { process: end },
    );
  }
}

function lastWords(stderrTail: ProcessEnd["stderrTail"]): string {
  return stderrTail.length === 0
    ? ""
    : `; last stderr lines: ${JSON.stringify(stderrTail.join("\n"))}`;
}
