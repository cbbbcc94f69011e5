// `bun-plug/testing`: a plugin and its host in one process, with the same frames and no process.

import "./platform.ts";

import type { ParentCall } from "./call/outgoing-call.ts";
import type { Connection } from "./connection/connection.ts";
import { PlugError } from "./error/plug-error.ts";
import { AnswerReader, offerFrame } from "./handshake/host-handshake.ts";
import { OfferReader } from "./handshake/plugin-handshake.ts";
import {
  checkedLoadOptions,
  type CheckedLoadOptions,
  type LoadOptions,
} from "./host/load-options.ts";
import { makeClient, wantedServices } from "./host/load-plugin.ts";
import { BlockingCaller, type BlockingParts } from "./host/blocking-call.ts";
import { pingWithin, type PluginProcess, type PluginStats } from "./host/plugin-handle.ts";
import { agreedVersions, connectWire2, offeredServices } from "./host/start-plugin.ts";
import { checkedRunOptions, type RunOptions } from "./plugin/run-options.ts";
import { serve, servedServices } from "./plugin/serve.ts";
import { within } from "./process/within.ts";
import type { CallTarget } from "./rpc/bound-service.ts";
import { checkServed } from "./rpc/handler.ts";
import type { Interceptor } from "./rpc/interceptor.ts";
import type { PeerOptions } from "./rpc/peer-options.ts";
import { newOrigin, type PeerServices } from "./rpc/peer-services.ts";
import type { Ref } from "./rpc/ref.ts";
import type { Service } from "./rpc/service.ts";
import { memoryTransports } from "./transport/memory-transport.ts";
import type { Transport } from "./transport/transport.ts";

/** Options of every test: those of a load and those of a run that make sense without a process. */
export interface TestOptions {
  readonly load?: Pick<LoadOptions, keyof PeerOptions | "offer" | "drainTimeoutMs">;
  readonly run?: RunOptions;
}

/**
 * Serves a handler in this process, and resolves with a client of it.
 *
 * Everything is as with a real plugin, down to the frames, but for the process: there is no pid,
 * and nobody can die.
 */
export async function testService<C extends object, H extends object>(
  service: Service<C, H>,
  handler: H,
  options: TestOptions = {},
): Promise<C & AsyncDisposable> {
  const loadOptions = checkedLoadOptions(options.load ?? {});
  const runOptions = checkedRunOptions(options.run ?? {});
  const tables = [service as unknown as Service<object, object>];
  const served = tables.map((table) => ({ service: table, handler }));
  checkServed(served);
  const [hostEnd, pluginEnd] = memoryTransports();
  const transport = { kind: "memory", fds: [] };
  const wanted = wantedServices(tables, loadOptions);
  const origins = { host: newOrigin(), plugin: newOrigin() };

  const answers = new AnswerReader(wanted);
  const offers = new OfferReader();
  const offered = offeredServices(loadOptions);
  const offer = offerFrame(wanted, loadOptions.limits, [transport], offered, origins.host);
  if (offers.push(offer) === undefined) throw new Error("the offer is not complete");
  const servedTables = servedServices(served, runOptions);
  const decision = offers.decide(servedTables, runOptions.limits, origins.plugin);
  if (decision.wire === undefined) throw decision.error;
  if (decision.wire !== 2) throw new Error("a test speaks wire 2");
  const answer = decision.answer(transport);
  answers.receive(answer, 0, answer.byteLength);
  const outcome = await answers.outcome;
  if (outcome.wire !== 2) throw new Error("a test speaks wire 2");

  const serving = serve({
    decision,
    served,
    options: runOptions,
    transport: pluginEnd,
    origin: origins.plugin,
  });
  pluginEnd.start(serving.receiver);
  const handle = new TestedPlugin(service.typeName, hostEnd, serving.ended, loadOptions);
  const { connection, peer } = connectWire2(
    outcome,
    hostEnd,
    origins.host,
    loadOptions,
    handle.events,
    handle,
  );
  connection.start();
  handle.attach({ connection, peer, versions: agreedVersions(outcome) });
  const [{ methods, firstMethodId }] = outcome.services as [(typeof outcome.services)[0]];
  const methodIds = new Map(methods.map((name, i) => [name, firstMethodId + i]));
  return makeClient(service, methodIds, handle);
}

interface TestedParts {
  readonly connection: Connection;
  readonly peer: PeerServices;
  readonly versions: Readonly<Record<string, number>>;
}

class TestedPlugin implements PluginProcess, CallTarget, BlockingParts {
  readonly name: string;
  readonly pid = undefined;
  // There is no process: what has ended has closed the connection already.
  readonly child = undefined;
  readonly isTransportEnded = false;
  readonly closed: Promise<PlugError>;
  readonly interceptors: readonly Interceptor[];
  readonly transport: Transport;
  readonly #servingEnded: Promise<void>;
  readonly #drainTimeoutMs: number;
  readonly #closed = Promise.withResolvers<PlugError>();
  /** Where the calls of clients go that block. */
  readonly blocking = new BlockingCaller(this);
  #attached: TestedParts | undefined;
  #closing: Promise<void> | undefined;

  readonly events = {
    // The handler's side has gone, as `signal` said; there is no process that could die.
    onEnded: () => {
      this.#parts.connection.close(new PlugError("plugin_exited", `"${this.name}" has ended`));
    },
    onClosed: () => void this.close(),
  };

  constructor(
    name: string,
    transport: Transport,
    servingEnded: Promise<void>,
    { drainTimeoutMs, interceptors }: CheckedLoadOptions,
  ) {
    this.name = name;
    this.transport = transport;
    // What the handler's side says of its end is known here as well.
    this.#servingEnded = servingEnded.catch(() => {});
    this.#drainTimeoutMs = drainTimeoutMs;
    this.interceptors = interceptors;
    this.closed = this.#closed.promise;
  }

  attach(parts: TestedParts): void {
    this.#attached = parts;
  }

  get #parts(): TestedParts {
    return this.#attached as TestedParts;
  }

  get versions(): Readonly<Record<string, number>> {
    return this.#parts.versions;
  }

  connection(parent: ParentCall | undefined): Connection {
    const { connection } = this.#parts;
    const isOpen = this.#closing === undefined || connection.closeReason !== undefined;
    if (isOpen || (parent !== undefined && connection.owns(parent))) return connection;
    throw new PlugError("draining", `"${this.name}" is being closed; the call was not sent`);
  }

  stats(): PluginStats {
    return {
      wire: 2,
      transport: this.transport.kind,
      inFlightCount: this.#parts.connection.inFlightCount,
      writeCount: this.transport.sent.writeCount,
      sentBytes: this.transport.sent.byteCount,
    };
  }

  ping(options: { readonly timeoutMs?: number | undefined } = {}): Promise<number> {
    return pingWithin(this.#parts.connection, this.name, options.timeoutMs);
  }

  refer<H extends object>(service: Service<object, H>, handler: H): Ref & Disposable {
    return this.#parts.peer.refer(service as unknown as Service<object, object>, handler);
  }

  resolve<C extends object>(service: Service<C, never>, ref: Ref | undefined): C & AsyncDisposable {
    const table = service as unknown as Service<object, object>;
    return this.#parts.peer.resolve(table, ref) as C & AsyncDisposable;
  }

  died(): void {}

  ref(): void {}

  unref(): void {}

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { connection } = this.#parts;
    connection.drain(new PlugError("draining", "the host is closing the plugin"));
    await within(connection.idle(), this.#drainTimeoutMs);
    connection.close(
      new PlugError("unavailable", `"${this.name}" was closed`),
      new PlugError(
        "cancelled",
        `"${this.name}" was closed before it answered; drainTimeoutMs is ${this.#drainTimeoutMs}`,
      ),
    );
    await this.#servingEnded;
    this.#closed.resolve(connection.closeReason as PlugError);
  }
}
