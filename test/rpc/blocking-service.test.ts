// The client of callers who block: which rpcs it has, by its type and in fact.

import { expect, test } from "bun:test";

import type { Sync } from "bun-plug";

import type { Behaviour } from "../behaviour/gen/behaviour_plug.ts";
import type { Messages } from "../codegen/gen/messages_plug.ts";
import { Unwrapped as Streams } from "../codegen/gen/streams_plug.ts";
import type { ByMessages, Unwrapped } from "../codegen/gen/styles_plug.ts";
import type { WellKnown } from "../codegen/gen/well_known_plug.ts";
import type { KV } from "../../example/gen/example_plug.ts";
import { blockingClient } from "../../src/rpc/blocking-service.ts";
import { thrown } from "../support/rejection.ts";

type Same<A, B> = [A, B] extends [B, A] ? true : false;

/** Compiles if the types are the same. */
function same<A, B>(isSame: Same<A, B>): void {
  expect<boolean>(isSame).toBe(true);
}

test("has each unary rpc, with its result in place of a promise", () => {
  same<Sync<KV>["get"], (key: string, options?: Parameters<KV["get"]>[1]) => Uint8Array>(true);
  same<keyof Sync<KV>, keyof KV>(true);
  // Whatever they take: messages with nothing but optional members, lists, maps, bytes, options.
  same<keyof Sync<Messages>, keyof Messages>(true);
  same<keyof Sync<ByMessages>, keyof ByMessages>(true);
  same<keyof Sync<Unwrapped>, keyof Unwrapped>(true);
  same<keyof Sync<WellKnown>, keyof WellKnown>(true);
  same<
    keyof Sync<Behaviour>,
    "echo" | "echoBlob" | "sleep" | "fail" | "events" | "left" | "nest" | "pluginBooks"
  >(true);
});

test("has clients of several services under their names", () => {
  type Both = Sync<{ readonly kv: KV; readonly behaviour: Behaviour } & AsyncDisposable>;
  same<keyof Both, "kv" | "behaviour">(true);
  same<Both["kv"]["put"], Sync<KV>["put"]>(true);
});

test("fails where the plugin lacks the rpc, and for each kind that streams", () => {
  const client = blockingClient(Streams, new Map(), {
    callBlocking() {
      throw new Error("not reached");
    },
    close: () => Promise.resolve(),
  }) as unknown as Record<string, (argument: object) => unknown>;
  for (const { kind, localName, name } of Streams.methods) {
    const error = thrown(() => client[localName]?.({}));
    expect(error.code).toBe("unimplemented");
    expect(error.message).toContain(name);
    expect(error.message.includes(" streams,")).toBe(kind !== "unary");
  }
});
