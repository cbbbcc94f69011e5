// From a program to a connection: spawn, handshake, and the transport that both sides have.

import type { ClientConnection, ConnectionEvents } from "../call/client-connection.ts";
import { Connection } from "../connection/connection.ts";
import { PlugError } from "../error/plug-error.ts";
import {
  AnswerReader,
  type HostOutcome,
  offerFrame,
  type WantedService,
} from "../handshake/host-handshake.ts";
import type { HelloService } from "../handshake/hello.ts";
import { Child } from "../process/child.ts";
import { LineReader } from "../process/line-reader.ts";
import { pluginEnvironment } from "../process/plugin-environment.ts";
import { obstacle } from "../process/start-failure.ts";
import type { CallTarget, MethodIds } from "../rpc/bound-service.ts";
import { Dispatcher } from "../rpc/dispatcher.ts";
import { tableOf } from "../rpc/handler.ts";
import type { CheckedPeerOptions } from "../rpc/peer-options.ts";
import { newOrigin, PeerServices } from "../rpc/peer-services.ts";
import { otherVersionsOf } from "../rpc/versions.ts";
import { StdioTransport } from "../transport/stdio-transport.ts";
import type { Receiver, Transport } from "../transport/transport.ts";
import { Wire1Client } from "../wire1/wire1-client.ts";
import { failure, outcomeWithin } from "./first-answer.ts";
import type { CheckedLoadOptions } from "./load-options.ts";
import { OfferedTransports } from "./offered-transports.ts";
import { commandOf, type Program } from "./program.ts";

/** A plugin that has answered. */
export interface StartedPlugin {
  readonly child: Child;
  readonly wire: 1 | 2;
  readonly connection: ClientConnection;
  /** References and offers; undefined on wire 1, which has none. */
  readonly peer: PeerServices | undefined;
  /** The versions that were agreed on, by full name. */
  readonly versions: Readonly<Record<string, number>>;
  /** What the connection runs on. */
  readonly transport: Transport;
  /** The child's stdin and stdout, which may be the same as `transport`. */
  readonly stdio: StdioTransport;
  /** By service. */
  readonly methodIds: readonly MethodIds[];
}

export interface WantedMethods extends WantedService {
  readonly methods: readonly string[];
  /** Those of them that stream. */
  readonly streaming: readonly string[];
}

/** What to start, and what for. */
export interface PluginStart {
  readonly program: Program;
  readonly wanted: readonly WantedMethods[];
  readonly options: CheckedLoadOptions;
  readonly events: ConnectionEvents;
  /** Where calls to the plugin's objects go. */
  readonly target: CallTarget;
}

/** A program that runs, and has been asked what it is. */
export interface Asked {
  readonly child: Child;
  readonly stdio: StdioTransport;
  readonly reader: AnswerReader;
  readonly offered: OfferedTransports;
  readonly origin: number;
}

/**
 * Starts the program, once, and finds out what it is.
 *
 * @throws {PlugError} `start_failed`, `not_a_plugin`, `handshake_mismatch` or `cancelled`. No
 *   process is left behind.
 */
export async function startPlugin(start: PluginStart): Promise<StartedPlugin> {
  const asked = ask(start, false);
  try {
    return connect(start, asked, await outcomeWithin(asked, start.options));
  } catch (error) {
    asked.offered.close();
    throw await failure(error, start.program, asked);
  }
}

/** Starts the program and asks it what it is. `isBlocking`: it is read without the event loop. */
export function ask({ program, wanted, options }: PluginStart, isBlocking: boolean): Asked {
  const inTheWay = obstacle(program.path, program.isScript);
  if (inTheWay !== undefined) throw inTheWay;
  const offered = new OfferedTransports(options.transport, options.poll);
  const origin = newOrigin();
  let offer: Uint8Array;
  let child: Child;
  try {
    const services = offeredServices(options);
    offer = offerFrame(wanted, options.limits, offered.hello, services, origin);
    child = new Child({
      path: program.path,
      command: commandOf(program, options.args),
      env: pluginEnvironment({ ...options, isScript: program.isScript }),
      cwd: options.cwd,
      hasSocket: offered.hasSocket,
      memoryFd: offered.memoryFd,
      isBlocking,
      onLine: (text) => options.logger({ plugin: program.name, stream: "stderr", text }),
    });
  } catch (error) {
    offered.abandon();
    throw error;
  }
  offered.started(child.socketFd);
  const stdio = new StdioTransport(child.stdout, child.stdin);
  const reader = new AnswerReader(wanted);
  stdio.start(reader);
  send(stdio, offer);
  return { child, stdio, reader, offered, origin };
}

/** @throws {PlugError} `handshake_mismatch`: it is not what was wanted. */
export function connect(start: PluginStart, asked: Asked, outcome: HostOutcome): StartedPlugin {
  const { program, wanted, options, events, target } = start;
  const { child, stdio, reader, offered, origin } = asked;
  if (outcome.wire === 1) {
    offered.takeStdio("the plugin speaks wire 1");
    checkNoStreams(wanted);
    const { maxMessageBytes } = options.limits;
    const connection = new Wire1Client({ transport: stdio, maxMessageBytes, events });
    reader.handOver(stdio, connection);
    return {
      child,
      stdio,
      transport: stdio,
      wire: 1,
      connection,
      peer: undefined,
      versions: Object.fromEntries(wanted.map(({ name, version }) => [name, version])),
      methodIds: wanted.map(wire1MethodIds),
    };
  }
  const own = offered.take(outcome.transport.kind);
  const transport = own ?? stdio;
  const { connection, peer } = connectWire2(outcome, transport, origin, options, events, target);
  if (own !== undefined) connection.start();
  reader.handOver(stdio, own === undefined ? connection : printReceiver(program.name, options));
  return {
    child,
    stdio,
    transport,
    wire: 2,
    connection,
    peer,
    versions: agreedVersions(outcome),
    methodIds: wanted.map(wire2MethodIds(outcome)),
  };
}

/** A connection to a plugin that may call back. */
export function connectWire2(
  { limits: peerLimits, origin: peerOrigin }: Extract<HostOutcome, { wire: 2 }>,
  transport: Transport,
  origin: number,
  options: CheckedPeerOptions & Pick<CheckedLoadOptions, "offer">,
  events: ConnectionEvents,
  target: CallTarget,
): { readonly connection: Connection; readonly peer: PeerServices } {
  const { limits, versions, interceptors, exposeStack, offer, maxReferences } = options;
  const peer = new PeerServices({
    origin,
    peerOrigin,
    isHost: true,
    maxReferences,
    versions,
    interceptors,
    target,
    onAgreed: (service, version) => {
      const offered = offeredServices(options).find(({ name }) => name === service);
      const versions = offered?.versions ?? [];
      if (!versions.includes(version)) {
        throw new PlugError(
          "protocol_error",
          `the plugin calls ${service} in version ${version}, which is not offered`,
        );
      }
      handler.agree(service, version);
    },
  });
  const handler = new Dispatcher(offer, {
    maxRunningHandlers: limits.maxInFlightCalls,
    interceptors,
    peer,
  });
  const connection = new Connection({
    transport,
    limits,
    peerLimits,
    handler,
    references: peer,
    exposeStack,
    events: {
      ...events,
      onClosed: (reason) => {
        peer.close();
        events.onClosed?.(reason);
      },
    },
  });
  peer.attach(connection);
  return { connection, peer };
}

/** What the host offers, as the handshake says it. Method ids are positions in all of it. */
export function offeredServices({
  offer,
  versions,
}: Pick<CheckedLoadOptions, "offer" | "versions">): HelloService[] {
  let firstMethodId = 0;
  return offer.map(({ service }) => {
    const { name, methods } = tableOf(service, []);
    const offered = { name, versions: otherVersionsOf(service, versions), methods, firstMethodId };
    firstMethodId += methods.length;
    return offered;
  });
}

/** By full name. */
export function agreedVersions({
  services,
}: Extract<HostOutcome, { wire: 2 }>): Readonly<Record<string, number>> {
  return Object.fromEntries(services.map(({ name, versions }) => [name, versions[0] as number]));
}

// Said at once, and not by the first call: such a plugin cannot have the service that is wanted.
function checkNoStreams(wanted: readonly WantedMethods[]): void {
  const streaming = wanted.flatMap(({ name, streaming }) =>
    streaming.map((method) => `${name}.${method}`),
  );
  if (streaming.length === 0) return;
  throw new PlugError(
    "handshake_mismatch",
    `the plugin speaks wire 1, as those built with the Go original do, and that has no streams: ${streaming.join(", ")}`,
  );
}

function wire1MethodIds({ index, methods }: WantedMethods): MethodIds {
  return new Map(methods.map((name, position) => [name, (index << 8) | position]));
}

function wire2MethodIds(
  outcome: Extract<HostOutcome, { wire: 2 }>,
): (wanted: WantedMethods) => MethodIds {
  return ({ name }) => {
    const service = outcome.services.find((other) => other.name === name);
    const first = service?.firstMethodId ?? 0;
    return new Map(service?.methods.map((method, position) => [method, first + position]));
  };
}

function send(transport: Transport, frame: Uint8Array): void {
  const at = transport.reserve(frame.byteLength);
  transport.buffer.set(frame, at);
  transport.commit(at + frame.byteLength);
  transport.flush();
}

// With a way of its own for the protocol, what comes on stdout after the handshake is the plugin's prints.
function printReceiver(plugin: string, { logger }: CheckedLoadOptions): Receiver {
  const lines = new LineReader((text) => logger({ plugin, stream: "stdout", text }));
  return {
    receive: (chunk, from, to) => lines.push(chunk.subarray(from, to)),
    writable() {},
    ended: () => lines.end(),
  };
}
