// The behaviour handler, behind every transport that there is, in either direction: in the plugin,
// or in the host with a plugin in between that passes calls on.

import { join } from "node:path";

import { pluginOf } from "bun-plug";
import type { TestOptions } from "bun-plug/testing";

import type { Connection } from "../../../src/connection/connection.ts";
import type { CallTarget } from "../../../src/rpc/bound-service.ts";
import { type Books, booksOf } from "../fixture/books.ts";
import { forwardingHandler } from "../fixture/forwarder.ts";
import { behaviourHandler } from "../fixture/handler.ts";
import {
  Behaviour,
  type BehaviourHandler,
  loadBehaviour,
  testBehaviour,
} from "../gen/behaviour_plug.ts";

export type Client = Behaviour & AsyncDisposable;

export interface TestedWay {
  readonly transport: "memory" | "socket" | "stdio" | "ring";
  readonly direction: "host → plugin" | "plugin → host";
  /** Connections that a call goes through until its handler answers. */
  readonly hopCount: number;
  open(options?: TestOptions): Promise<Client>;
}

const plugin = join(import.meta.dir, "../fixture/plugin.ts");

export const ways: readonly TestedWay[] = (["memory", "ring", "socket", "stdio"] as const).flatMap(
  (transport) => [way(transport, "host → plugin"), way(transport, "plugin → host")],
);

function way(transport: TestedWay["transport"], direction: TestedWay["direction"]): TestedWay {
  const isForwarded = direction === "plugin → host";
  async function open({ load, run = {} }: TestOptions = {}): Promise<Client> {
    // Also where calls end in the plugin: that nests calls to the host.
    const offered = behaviourHandler();
    const offer = [[Behaviour, offered]] as const;
    const client =
      transport === "memory"
        ? await testBehaviour(isForwarded ? forwardingHandler() : behaviourHandler(), {
            load: { offer, ...load },
            run,
          })
        : await loadBehaviour(plugin, {
            transport,
            args: [direction, JSON.stringify(run)],
            offer,
            ...load,
          });
    offers.set(client, offered);
    return client;
  }
  return { transport, direction, hopCount: isForwarded ? 2 : 1, open };
}

const offers = new WeakMap<Client, BehaviourHandler>();

/** Events of the host's handler, whichever answers the client. */
export async function hostEvents(client: Client): Promise<string> {
  const handler = offers.get(client) as BehaviourHandler;
  return handler.events(undefined as never);
}

/** Looks at the books of the host's connection, also when the plugin is gone. */
export function hostBooks(client: Client): () => Books {
  const connection = (
    pluginOf(client) as unknown as { readonly process: CallTarget }
  ).process.connection(undefined) as Connection;
  return () => booksOf(connection);
}

/** Events of the handler, until there are as many: those that the test waits for, in any order. */
export async function noticed(client: Client, count: number): Promise<string[]> {
  return sortedEvents(() => client.events(), count);
}

/** The same of the host's handler. */
export async function noticedByHost(client: Client, count: number): Promise<string[]> {
  return sortedEvents(() => hostEvents(client), count);
}

async function sortedEvents(take: () => Promise<string>, count: number): Promise<string[]> {
  const events: string[] = [];
  const until = performance.now() + 3_000;
  while (events.length < count && performance.now() < until) {
    const what = await take();
    if (what === "") await Bun.sleep(2);
    else events.push(...what.split(", "));
  }
  return events.sort();
}
