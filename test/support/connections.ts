// Connections of wire 2: one whose peer is the test, or two that are each other's.

import type { CallHandler, ReferenceEvents } from "../../src/call/incoming-call.ts";
import type { ConnectionEvents } from "../../src/call/client-connection.ts";
import { defaultLimits, type Limits } from "../../src/call/limits.ts";
import type { CallTerms } from "../../src/call/outgoing-call.ts";
import { Connection } from "../../src/connection/connection.ts";
import { memoryTransports } from "../../src/transport/memory-transport.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { FakeTransport, settled } from "./fake-transport.ts";
import { framesOf, type TestFrame } from "./frames.ts";
import { bytesReader, bytesWriter, route } from "./payloads.ts";

export interface TestConnectionOptions {
  readonly limits?: Partial<Limits>;
  readonly peerLimits?: Partial<Limits>;
  readonly handler?: CallHandler;
  readonly events?: ConnectionEvents;
  readonly references?: ReferenceEvents;
}

const testLimits: Limits = { ...defaultLimits, maxMessageBytes: 1024 * 1024 };

function connect(transport: Transport, options: TestConnectionOptions): Connection {
  const connection = new Connection({
    transport,
    limits: { ...testLimits, ...options.limits },
    peerLimits: { ...testLimits, ...options.peerLimits },
    handler: options.handler,
    events: options.events,
    references: options.references,
  });
  connection.start();
  return connection;
}

/** A connection whose peer does what the test says, right or wrong. */
export function scripted(options: TestConnectionOptions = {}) {
  const transport = new FakeTransport();
  const connection = connect(transport, options);
  return {
    connection,
    transport,
    /** Calls the echo method. */
    call: (message: Uint8Array, terms?: CallTerms) => call(connection, message, terms),
    /** What the connection has written since the last time, once it has been flushed. */
    async sent(): Promise<TestFrame[]> {
      await settled();
      return framesOf(transport.takeWritten());
    },
    deliver: (...frames: readonly Uint8Array[]) => {
      for (const frame of frames) transport.deliver(frame);
    },
  };
}

/** Two connections in one process; `handler` answers the calls of `host`, `hostHandler` others. */
export function pair(options: {
  readonly limits?: Partial<Limits>;
  readonly pluginLimits?: Partial<Limits>;
  readonly handler: CallHandler;
  readonly hostHandler?: CallHandler;
  /** Of the plugin. */
  readonly references?: ReferenceEvents;
}) {
  const [left, right] = memoryTransports();
  const { limits = {}, pluginLimits = limits, handler, hostHandler } = options;
  const own = hostHandler === undefined ? {} : { handler: hostHandler };
  const host = connect(left, { limits, peerLimits: pluginLimits, ...own });
  const told = options.references === undefined ? {} : { references: options.references };
  const plugin = connect(right, { limits: pluginLimits, peerLimits: limits, handler, ...told });
  return { host, plugin, hostTransport: left, pluginTransport: right };
}

export function call(
  connection: Connection,
  message: Uint8Array,
  terms?: CallTerms,
): Promise<Uint8Array> {
  return connection.call(route, bytesWriter, message, bytesReader, terms);
}
