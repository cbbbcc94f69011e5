// The behaviour handler, behind every transport that there is.

import { join } from "node:path";

import { pluginOf } from "bun-plug";
import type { TestOptions } from "bun-plug/testing";

import type { Connection } from "../../../src/connection/connection.ts";
import type { CallTarget } from "../../../src/rpc/bound-service.ts";
import { type Behaviour, loadBehaviour, testBehaviour } from "../gen/behaviour_plug.ts";
import { behaviourHandler } from "../fixture/handler.ts";

export type Client = Behaviour & AsyncDisposable;

export interface TestedTransport {
  readonly kind: "memory" | "socket" | "stdio";
  open(options?: TestOptions): Promise<Client>;
}

const plugin = join(import.meta.dir, "../fixture/plugin.ts");

function processOver(transport: "socket" | "stdio"): TestedTransport {
  return {
    kind: transport,
    open: ({ load, run = {} } = {}) =>
      loadBehaviour(plugin, { transport, args: [JSON.stringify(run)], ...load }),
  };
}

export const transports: readonly TestedTransport[] = [
  { kind: "memory", open: (options) => testBehaviour(behaviourHandler(), options) },
  processOver("socket"),
  processOver("stdio"),
];

/** What a connection keeps books of, on the caller's side. */
export interface Accounts {
  readonly inFlightCount: number;
  readonly deadlineCount: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export const noAccounts: Accounts = {
  inFlightCount: 0,
  deadlineCount: 0,
  sentBytes: 0,
  receivedBytes: 0,
};

/** Looks at the books of a client's connection, also when the plugin is gone. */
export function accountsOf(client: Client): () => Accounts {
  const connection = (pluginOf(client) as unknown as CallTarget).connection(false) as Connection;
  return () => {
    const { inFlightCount, deadlineCount, outstandingBytes } = connection;
    const { sent: sentBytes, received: receivedBytes } = outstandingBytes;
    return { inFlightCount, deadlineCount, sentBytes, receivedBytes };
  };
}

/** Events of the handler, until there are as many: those that the test waits for, in any order. */
export async function noticed(client: Client, count: number): Promise<string[]> {
  const events: string[] = [];
  const until = performance.now() + 3_000;
  while (events.length < count && performance.now() < until) {
    const what = await client.events();
    if (what === "") await Bun.sleep(2);
    else events.push(...what.split(", "));
  }
  return events.sort();
}
