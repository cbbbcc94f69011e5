// `bun-plug/testing`: a plugin and its host in one process, with the same frames and no process.

import "./platform.ts";

import { Connection } from "./connection/connection.ts";
import { PlugError } from "./error/plug-error.ts";
import { AnswerReader, offerFrame } from "./handshake/host-handshake.ts";
import { OfferReader } from "./handshake/plugin-handshake.ts";
import { checkedLoadOptions, type LoadOptions } from "./host/load-options.ts";
import { makeClient } from "./host/load-plugin.ts";
import type { PluginHandle, PluginStats } from "./host/plugin-handle.ts";
import { checkedRunOptions, type RunOptions } from "./plugin/run-options.ts";
import { serve, servedServices } from "./plugin/serve.ts";
import { within } from "./process/within.ts";
import type { CallTarget } from "./rpc/bound-service.ts";
import { checkHandler } from "./rpc/dispatcher.ts";
import type { Service } from "./rpc/service.ts";
import { memoryTransports } from "./transport/memory-transport.ts";
import type { Transport } from "./transport/transport.ts";

/** Options of every test: those of a load and those of a run that make sense without a process. */
export interface TestOptions {
  readonly load?: Pick<
    LoadOptions,
    | "maxMessageBytes"
    | "maxInFlightCalls"
    | "streamWindowBytes"
    | "connectionWindowBytes"
    | "drainTimeoutMs"
  >;
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
  const served = [{ service: service as unknown as Service<object, object>, handler }];
  checkHandler(served[0] as (typeof served)[0]);
  const services = servedServices(served);
  const [hostEnd, pluginEnd] = memoryTransports();

  const answers = new AnswerReader(services);
  const offers = new OfferReader();
  const offer = offerFrame(services, loadOptions.limits, [{ kind: "memory", fds: [] }]);
  if (offers.push(offer) === undefined) throw new Error("the offer is not complete");
  const decision = offers.decide(services, runOptions.limits);
  if (decision.wire !== 2) throw new Error("a test speaks wire 2");
  const answer = decision.answer({ kind: "memory", fds: [] });
  answers.receive(answer, 0, answer.byteLength);
  const outcome = await answers.outcome;
  if (outcome.wire !== 2) throw new Error("a test speaks wire 2");

  const serving = serve(decision, served, runOptions, pluginEnd, undefined);
  pluginEnd.start(serving.receiver);
  const handle = new TestedPlugin(
    service.typeName,
    hostEnd,
    serving.ended,
    loadOptions.drainTimeoutMs,
  );
  const connection = new Connection({
    transport: hostEnd,
    limits: loadOptions.limits,
    peerLimits: outcome.limits,
    events: handle.events,
  });
  connection.start();
  handle.attach(connection);
  const [{ methods, firstMethodId }] = outcome.services as [(typeof outcome.services)[0]];
  const methodIds = new Map(methods.map((name, i) => [name, firstMethodId + i]));
  return makeClient(service, methodIds, handle);
}

class TestedPlugin implements PluginHandle, CallTarget {
  readonly name: string;
  readonly pid = undefined;
  readonly closed: Promise<PlugError>;
  readonly #transport: Transport;
  readonly #servingEnded: Promise<void>;
  readonly #drainTimeoutMs: number;
  readonly #closed = Promise.withResolvers<PlugError>();
  #connection: Connection | undefined;
  #closing: Promise<void> | undefined;
  #onDrained: (() => void) | undefined;

  readonly events = {
    onIdle: () => this.#onDrained?.(),
    onClosed: () => this.#onDrained?.(),
  };

  constructor(
    name: string,
    transport: Transport,
    servingEnded: Promise<void>,
    drainTimeoutMs: number,
  ) {
    this.name = name;
    this.#transport = transport;
    this.#servingEnded = servingEnded;
    this.#drainTimeoutMs = drainTimeoutMs;
    this.closed = this.#closed.promise;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
  }

  connection(): Connection {
    const connection = this.#connection as Connection;
    if (this.#closing === undefined || connection.closeReason !== undefined) return connection;
    throw new PlugError("draining", `"${this.name}" is being closed; the call was not sent`);
  }

  stats(): PluginStats {
    return {
      wire: 2,
      transport: this.#transport.kind,
      inFlightCount: (this.#connection as Connection).inFlightCount,
      writeCount: this.#transport.sent.writeCount,
      sentBytes: this.#transport.sent.byteCount,
    };
  }

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
    const connection = this.#connection as Connection;
    if (connection.inFlightCount > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onDrained = resolve;
      await within(promise, this.#drainTimeoutMs);
    }
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
