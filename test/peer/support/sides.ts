// A plugin's desk and a host's, connected in every way that there is.

import { join } from "node:path";

import { type LoadOptions, type PluginHandle, pluginOf } from "bun-plug";
import type { CallContext, RunOptions } from "bun-plug/plugin";

import type { Connection } from "../../../src/connection/connection.ts";
import type { CallTarget } from "../../../src/rpc/bound-service.ts";
import { eventually } from "../../support/processes.ts";
import { LineLog } from "../fixture/line-log.ts";
import { collect, countsIn, pluginSide, TestDesk } from "../fixture/test-desk.ts";
import { Desk, loadDesk, Logger, testDesk } from "../gen/peer_plug.ts";

export const peerPlugin = join(import.meta.dir, "../fixture/plugin.ts");

export type Kind = "memory" | "ring" | "socket" | "stdio";
export const kinds: readonly Kind[] = ["memory", "ring", "socket", "stdio"];
export const processKinds = ["ring", "socket", "stdio"] as const;

/** Options of both sides. */
export interface BothOptions {
  readonly load?: Omit<LoadOptions, "offer" | "transport" | "args">;
  readonly run?: Omit<RunOptions, "signal" | "interceptors">;
}

/** A plugin that is loaded, and what the host offers it. */
export interface Sides extends AsyncDisposable {
  readonly desk: Desk & AsyncDisposable;
  readonly handle: PluginHandle;
  readonly log: LineLog;
  readonly hostDesk: TestDesk;
}

/** @param other whom the host's desk asks in turn; the plugin, unless told otherwise. */
export async function open(
  kind: Kind,
  { load = {}, run = {} }: BothOptions = {},
  other?: () => Desk,
): Promise<Sides> {
  const log = new LineLog();
  const hostDesk: TestDesk = new TestDesk({ other: () => other?.() ?? desk });
  const offer = [
    [Logger, log],
    [Desk, hostDesk],
  ] as const;
  const desk = await connect();
  return {
    desk,
    handle: pluginOf(desk),
    log,
    hostDesk,
    [Symbol.asyncDispose]: () => desk[Symbol.asyncDispose](),
  };

  function connect(): Promise<Desk & AsyncDisposable> {
    if (kind !== "memory") {
      return loadDesk(peerPlugin, { transport: kind, args: [JSON.stringify(run)], ...load, offer });
    }
    const ending = new AbortController();
    const handler = new TestDesk(pluginSide((why) => ending.abort(why)));
    return testDesk(handler, { load: { ...load, offer }, run: { ...run, signal: ending.signal } });
  }
}

export const noReferences = {
  host: { made: 0, held: 0 },
  plugin: { made: 0, held: 0 },
} as const;

/** What each side says of references. The host's books are seen through a call that it answers. */
export async function references({ desk, hostDesk }: Sides) {
  const plugin = JSON.parse(await desk.ask("down 2 counts"));
  return { host: countsIn(hostDesk.lastContext as CallContext), plugin };
}

/** Waits until references are as they should be; the collector is helped. */
export async function referencesSettleTo(
  expected: { readonly host: object; readonly plugin: object },
  sides: Sides,
): Promise<void> {
  let actual = await references(sides);
  for (let turn = 0; turn < 50 && !Bun.deepEquals(actual, expected); turn++) {
    await sides.desk.ask("gc");
    await collect();
    actual = await references(sides);
  }
  if (Bun.deepEquals(actual, expected)) return;
  throw new Error(`references are ${JSON.stringify(actual)}`);
}

/** The host's end of the connection. It can be looked at when the plugin is gone. */
export function connectionOf({ handle }: Sides): Connection {
  return (handle as unknown as { readonly process: CallTarget }).process.connection(
    undefined,
  ) as Connection;
}

/** Waits until nothing is in flight and no id, deadline or credit is taken. */
export async function booksAreEmpty(connection: Connection): Promise<void> {
  const books = (): number[] => {
    const { inFlightCount, idCount, incomingCount, deadlineCount, outstandingBytes } = connection;
    const { sent, received } = outstandingBytes;
    return [inFlightCount, idCount, incomingCount, deadlineCount, sent, received];
  };
  await eventually("the books are empty", () => books().every((count) => count === 0), 2_000).catch(
    (error: Error) => {
      throw new Error(`${error.message}: ${books()}`);
    },
  );
}

/** Waits for as many events of a desk in the plugin, and gives them. */
export async function pluginEvents({ desk }: Sides, count: number): Promise<string[]> {
  const events: string[] = [];
  const until = performance.now() + 3_000;
  while (events.length < count && performance.now() < until) {
    const what = await desk.ask("events");
    if (what === "") await Bun.sleep(2);
    else events.push(...what.split(", "));
  }
  return events;
}
