// A loaded plugin: calls go through it while it lives, and it ends in bounded steps.

import type { ClientConnection } from "../call/client-connection.ts";
import type { ParentCall } from "../call/outgoing-call.ts";
import { timeoutFault } from "../call/place-call.ts";
import { PlugError, type ProcessEnd } from "../error/plug-error.ts";
import type { BlockingIo } from "../process/blocking-io.ts";
import { type Child, endText } from "../process/child.ts";
import { endsWithin, stopChild } from "../process/stop.ts";
import { within } from "../process/within.ts";
import type { Sync } from "../rpc/blocking-service.ts";
import type { CallTarget } from "../rpc/bound-service.ts";
import type { Interceptor } from "../rpc/interceptor.ts";
import type { PeerServices } from "../rpc/peer-services.ts";
import type { Ref } from "../rpc/ref.ts";
import type { Service } from "../rpc/service.ts";
import { canBlock, type Transport } from "../transport/transport.ts";
import { BlockingCaller, type BlockingParts, endsBlocking } from "./blocking-call.ts";
import type { CheckedLoadOptions } from "./load-options.ts";
import type { StartedPlugin } from "./start-plugin.ts";

/** What is known of a plugin's traffic. */
export interface PluginStats {
  /** `2`, or `1` for a plugin built with the Go original. */
  readonly wire: 1 | 2;
  readonly transport: "stdio" | "socket" | "ring" | "memory";
  /** Calls placed that are not settled. */
  readonly inFlightCount: number;
  /** Writes to the kernel, and the bytes in them. */
  readonly writeCount: number;
  readonly sentBytes: number;
}

/** The process behind what a load returned; `C` is what it returned. */
export interface PluginHandle<C extends object = object> extends PluginProcess {
  /**
   * The same client for callers who cannot await: its unary rpcs block the process until the answer
   * is there, and return it. Deadlines hold; signals and timers have no turn meanwhile. Answers to
   * other calls settle those in their order when the event loop turns again. A call of the plugin's
   * is answered if its handler returns a plain value, and fails with `failed_precondition` if that
   * returns a promise.
   *
   * Large `bytes` are as in other calls. It needs bun:ffi, and, with a plugin that is connected by
   * stdio, a load by `load…Sync`; else calls throw `unimplemented`.
   *
   * @throws {PlugError} `unimplemented`: the plugin was loaded with interceptors.
   */
  readonly sync: Sync<C>;
}

/** {@link PluginHandle}, whatever its clients. */
export interface PluginProcess extends AsyncDisposable {
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
  /** The version of each service, by full name, that host and plugin agreed on. */
  readonly versions: Readonly<Record<string, number>>;
  /**
   * Resolves with the milliseconds that the plugin took to answer: its event loop turns. One that
   * is busy answers when it is through.
   *
   * @throws {PlugError} `deadline_exceeded`: not within `timeoutMs`; none without it.
   * @throws {PlugError} `unimplemented`: the plugin is built with the Go original.
   */
  ping(options?: { readonly timeoutMs?: number | undefined }): Promise<number>;
  /**
   * A reference to an object of the host, for a message to the plugin. It holds the object until
   * the plugin lets go of it, it is disposed, or the plugin ends. Like `CallContext.refer`.
   */
  refer<H extends object>(service: Service<object, H>, handler: H): Ref & Disposable;
  /**
   * A client of the object that a message of the plugin refers to. It holds the object until it is
   * disposed or collected, or the plugin ends. Like `CallContext.resolve`.
   */
  resolve<C extends object>(service: Service<C, never>, ref: Ref | undefined): C & AsyncDisposable;
  /** The host stays alive while the plugin is loaded. This is so unless told otherwise. */
  ref(): void;
  /**
   * The host may exit while no call is in flight; the plugin then stops too. Where bun:ffi is not
   * to be had this has no effect.
   */
  unref(): void;
}

// Between the first sign of a death and the error for it: in this span the exit code, the last
// answers and the last words come in.
const lastSignsMs = 1_000;
// The same, once the process is known to have ended.
const lastBytesMs = 250;

export class LoadedPlugin implements PluginProcess, CallTarget, BlockingParts {
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
  /** Where the calls of clients go that block. */
  readonly blocking = new BlockingCaller(this);
  // What the plugin said when it stopped to take new calls.
  #drainReason: PlugError | undefined;

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
      // By itself, if the plugin broke the wire format: then nothing is left to ask it.
      if (this.#started !== undefined) void this.close();
    },
    onDraining: (reason: PlugError) => {
      this.#drainReason = reason;
    },
    onBusy: () => {
      if (!this.#isReferenced) this.#setReferenced(true);
    },
    onIdle: () => {
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

  get versions(): Readonly<Record<string, number>> {
    return this.#parts.versions;
  }

  get child(): Child {
    return this.#parts.child;
  }

  get transport(): Transport {
    return this.#parts.transport;
  }

  get isTransportEnded(): boolean {
    return this.#isTransportEnded;
  }

  get interceptors(): readonly Interceptor[] {
    return this.#options.interceptors;
  }

  died(io: BlockingIo): void {
    const { child, connection, transport } = this.#parts;
    endsBlocking(child, transport, io, lastSignsMs);
    connection.close(this.#deathReason(child, connection.inFlightCount));
  }

  connection(parent: ParentCall | undefined): ClientConnection {
    const { connection } = this.#parts;
    if (this.#closing === undefined || connection.closeReason !== undefined) return connection;
    // What calls in flight need is still answered.
    if (parent !== undefined && connection.owns(parent)) return connection;
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

  // @throws {PlugError} `unimplemented`: what it answers is read by calls that block alone.
  #checkLoop(): void {
    const { transport } = this.#parts;
    if (transport.kind !== "stdio" || !canBlock(transport)) return;
    throw new PlugError(
      "unimplemented",
      `plugin "${this.name}" was loaded by load…Sync and is connected by stdio: nothing of it can be awaited`,
    );
  }

  async ping(options: { readonly timeoutMs?: number | undefined } = {}): Promise<number> {
    this.#checkLoop();
    return pingWithin(this.#parts.connection, this.name, options.timeoutMs);
  }

  refer<H extends object>(service: Service<object, H>, handler: H): Ref & Disposable {
    return this.#peer.refer(service as unknown as Service<object, object>, handler);
  }

  resolve<C extends object>(service: Service<C, never>, ref: Ref | undefined): C & AsyncDisposable {
    this.#checkLoop();
    const table = service as unknown as Service<object, object>;
    return this.#peer.resolve(table, ref) as C & AsyncDisposable;
  }

  get #peer(): PeerServices {
    const { peer } = this.#parts;
    if (peer !== undefined) return peer;
    throw new PlugError(
      "unimplemented",
      `plugin "${this.name}" is built with the Go original, which knows no references`,
    );
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
      connection.drain(new PlugError("draining", "the host is closing the plugin"));
      await within(connection.idle(), this.#options.drainTimeoutMs);
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
    const drained =
      this.#drainReason === undefined
        ? ""
        : `, as it had said ("${this.#drainReason.rawMessage}"),`;
    const calls = `${inFlightCount} ${inFlightCount === 1 ? "call was" : "calls were"} in flight`;
    return new PlugError(
      "plugin_exited",
      `plugin "${this.name}" ${what}${drained} while ${calls}${lastWords(end?.stderrTail ?? child.stderrTail)}`,
      end === undefined ? {} : { process: end },
    );
  }
}

/** How long the peer takes to answer a ping, in milliseconds. */
export async function pingWithin(
  connection: ClientConnection,
  name: string,
  timeoutMs: number | undefined,
): Promise<number> {
  const fault = timeoutFault(timeoutMs);
  if (fault !== undefined) throw fault;
  const startedAt = performance.now();
  const answered = connection.ping();
  if (timeoutMs === undefined || (await within(answered, timeoutMs))) {
    await answered;
    return performance.now() - startedAt;
  }
  throw new PlugError(
    "deadline_exceeded",
    `plugin "${name}" did not answer a ping within timeoutMs ${timeoutMs}`,
  );
}

function lastWords(stderrTail: ProcessEnd["stderrTail"]): string {
  return stderrTail.length === 0
    ? ""
    : `; last stderr lines: ${JSON.stringify(stderrTail.join("\n"))}`;
}
