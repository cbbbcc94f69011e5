// Answers calls on a transport, whichever wire the host speaks, until it has gone.

import type { ConnectionEvents } from "../call/client-connection.ts";
import { Connection } from "../connection/connection.ts";
import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { Decision, ServedService } from "../handshake/plugin-handshake.ts";
import { within } from "../process/within.ts";
import { Dispatcher } from "../rpc/dispatcher.ts";
import { type Served, tableOf } from "../rpc/handler.ts";
import { PeerServices } from "../rpc/peer-services.ts";
import { versionsOf } from "../rpc/versions.ts";
import type { Receiver, Transport } from "../transport/transport.ts";
import { Wire1Server } from "../wire1/wire1-server.ts";
import type { CheckedRunOptions } from "./run-options.ts";

/** What the handshake says of services. */
export function servedServices(
  served: readonly Served[],
  { versions }: Pick<CheckedRunOptions, "versions">,
): ServedService[] {
  return served.map(({ service }) =>
    tableOf(service, versionsOf(service, versions, served.length)),
  );
}

export interface Serving {
  /** Takes the bytes of the transport. It is not started yet. */
  readonly receiver: Receiver;
  /**
   * Resolves when the host has gone and the handlers that ran are through, or out of time; also
   * when the plugin has drained. Rejects with `protocol_error` if the host broke the wire format.
   */
  readonly ended: Promise<void>;
}

export interface ServeOptions {
  readonly decision: Exclude<Decision, { wire: undefined }>;
  readonly served: readonly Served[];
  readonly options: CheckedRunOptions;
  readonly transport: Transport;
  /** Marks the references of this side. */
  readonly origin: number;
  readonly onFrame?: ConnectionEvents["onFrame"];
}

export function serve(given: ServeOptions): Serving {
  const { options } = given;
  const { promise: closed, resolve } = Promise.withResolvers<PlugError>();
  const events: ConnectionEvents = {
    onFrame: given.onFrame,
    onEnded: (cause) =>
      connection.close(new PlugError("unavailable", "the host has gone", { cause })),
    onClosed: resolve,
  };
  const { dispatcher, connection } =
    given.decision.wire === 1
      ? serveWire1(given, given.decision, events)
      : serveWire2(given, given.decision, events);
  const onAbort = (): void => void drain(connection, options);
  if (options.signal?.aborted === true) onAbort();
  options.signal?.addEventListener("abort", onAbort);
  return {
    receiver: connection,
    ended: closed.then(async (reason) => {
      options.signal?.removeEventListener("abort", onAbort);
      await within(dispatcher.idle(), options.drainTimeoutMs);
      if (reason.code === "protocol_error") throw reason;
    }),
  };
}

function serveWire1(
  { served, options, transport }: ServeOptions,
  { service, version }: Extract<Decision, { wire: 1 }>,
  events: ConnectionEvents,
) {
  const ofHost = served
    .filter((pair) => pair.service.typeName === service.name)
    .map((pair) => ({ ...pair, version }));
  const dispatcher = new Dispatcher(ofHost, options);
  const connection = new Wire1Server({
    transport,
    serviceIndex: service.index,
    maxMessageBytes: options.limits.maxMessageBytes,
    handler: dispatcher,
    events,
  });
  return { dispatcher, connection };
}

function serveWire2(
  { served, options, transport, origin }: ServeOptions,
  { versions, offers, hostOrigin, hostLimits }: Extract<Decision, { wire: 2 }>,
  events: ConnectionEvents,
) {
  const { limits, interceptors, exposeStack, maxReferences } = options;
  const peer = new PeerServices({
    origin,
    peerOrigin: hostOrigin,
    offers,
    isHost: false,
    maxReferences,
    versions: options.versions,
    interceptors,
    target: { connection: () => connection },
  });
  const agreed = served.map((pair) => ({
    ...pair,
    version: versions.get(pair.service.typeName),
  }));
  const dispatcher = new Dispatcher(agreed, { ...options, peer });
  const connection = new Connection({
    transport,
    limits,
    peerLimits: hostLimits,
    handler: dispatcher,
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
  return { dispatcher, connection };
}

// Answers what is in flight, and goes.
async function drain(
  connection: Connection | Wire1Server,
  { signal, drainTimeoutMs }: CheckedRunOptions,
): Promise<void> {
  const why = signal?.reason === undefined ? "" : `: ${textOf(signal.reason)}`;
  connection.drain(new PlugError("draining", `the plugin is ending${why}`));
  await within(drained(connection), drainTimeoutMs);
  connection.close(new PlugError("unavailable", "the plugin has drained"));
}

async function drained(connection: Connection | Wire1Server): Promise<void> {
  await connection.idle();
  if (connection instanceof Wire1Server) return;
  // What the host sent before it heard of it comes before its pong, and is refused by then.
  await connection.ping();
  await connection.idle();
}
