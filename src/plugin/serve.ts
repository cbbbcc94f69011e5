// Answers calls on a transport, whichever wire the host speaks, until it has gone.

import type { ConnectionEvents } from "../call/client-connection.ts";
import { Connection } from "../connection/connection.ts";
import { PlugError } from "../error/plug-error.ts";
import type { Decision, ServedService } from "../handshake/plugin-handshake.ts";
import { within } from "../process/within.ts";
import { Dispatcher, type Served } from "../rpc/dispatcher.ts";
import type { Receiver, Transport } from "../transport/transport.ts";
import { Wire1Server } from "../wire1/wire1-server.ts";
import type { CheckedRunOptions } from "./run-options.ts";

/** What the handshake says of services. */
export function servedServices(served: readonly Served[]): ServedService[] {
  return served.map(({ service: { typeName, index, magic, version, methods } }) => ({
    name: typeName,
    index,
    magic,
    version,
    versions: [version],
    methods: methods.map(({ name }) => name),
  }));
}

export interface Serving {
  /** Takes the bytes of the transport. It is not started yet. */
  readonly receiver: Receiver;
  /**
   * Resolves when the host has gone and the handlers that ran are through, or out of time. Rejects
   * with `protocol_error` if the host broke the wire format.
   */
  readonly ended: Promise<void>;
}

export function serve(
  decision: Exclude<Decision, { wire: undefined }>,
  served: readonly Served[],
  options: CheckedRunOptions,
  transport: Transport,
  onFrame: ConnectionEvents["onFrame"],
): Serving {
  const { promise: closed, resolve } = Promise.withResolvers<PlugError>();
  const events: ConnectionEvents = {
    onFrame,
    onEnded: (cause) =>
      connection.close(new PlugError("unavailable", "the host has gone", { cause })),
    onClosed: resolve,
  };
  const { limits } = options;
  let dispatcher: Dispatcher;
  let connection: Connection | Wire1Server;
  if (decision.wire === 1) {
    const { name, index } = decision.service;
    const ofHost = served.filter(({ service }) => service.typeName === name);
    dispatcher = new Dispatcher(ofHost, options.maxRunningHandlers);
    connection = new Wire1Server({
      transport,
      serviceIndex: index,
      maxMessageBytes: limits.maxMessageBytes,
      handler: dispatcher,
      events,
    });
  } else {
    dispatcher = new Dispatcher(served, options.maxRunningHandlers);
    connection = new Connection({
      transport,
      limits,
      peerLimits: decision.hostLimits,
      handler: dispatcher,
      events,
    });
  }
  return {
    receiver: connection,
    ended: closed.then(async (reason) => {
      await within(dispatcher.idle(), options.drainTimeoutMs);
      if (reason.code === "protocol_error") throw reason;
    }),
  };
}
