// Pings: answered while an event loop turns, and rejected when nobody will answer.

import { describe, expect, test } from "bun:test";

import { pluginOf } from "bun-plug";

import { defaultLimits } from "../../src/call/limits.ts";
import { Connection } from "../../src/connection/connection.ts";
import { FrameKind } from "../../src/frame/frame-header.ts";
import { memoryTransports } from "../../src/transport/memory-transport.ts";
import { loadEverything } from "../go/gen/interop_plug.ts";
import { turnsUntil } from "../support/fake-transport.ts";
import { frame } from "../support/frames.ts";
import { goBinary, testGo } from "../support/go-peer.ts";
import { leavingNothing } from "../support/plugins.ts";
import { eventually } from "../support/processes.ts";
import { rejection } from "../support/rejection.ts";
import { within } from "../support/within.ts";
import { kinds, open, processKinds } from "./support/sides.ts";

describe.each(kinds)("over %s, a ping", (kind) => {
  test("is answered, as are many at once, with a bound and without", () =>
    leavingNothing(async () => {
      await using sides = await open(kind);
      const { handle } = sides;
      const pings = Array.from({ length: 100 }, (_, i) =>
        handle.ping(i % 2 === 0 ? {} : { timeoutMs: 10_000 }),
      );
      for (const spanMs of await Promise.all(pings)) {
        expect(spanMs).toBeGreaterThanOrEqual(0);
        expect(spanMs).toBeLessThan(10_000);
      }
    }));

  test("is answered by a plugin that is being closed, and rejected after that", () =>
    leavingNothing(async () => {
      const { desk, handle, log } = await open(kind);
      const held = desk.ask("log hold");
      await eventually("it is held", () => log.held.length === 1);
      const closing = handle.close();
      expect(await handle.ping()).toBeGreaterThanOrEqual(0);
      log.held[0]?.resolve("held");
      expect(await held).toBe("held");
      await closing;
      for (const options of [{}, { timeoutMs: 1_000 }]) {
        expect((await rejection(handle.ping(options))).code).toBe("unavailable");
      }
    }));
});

describe.each(processKinds)("over %s, a ping", (kind) => {
  test("to a frozen plugin fails after timeoutMs, and its late answer harms nothing", () =>
    leavingNothing(async () => {
      await using sides = await open(kind);
      const { desk, handle } = sides;
      process.kill(handle.pid as number, "SIGSTOP");
      const unbounded = handle.ping();
      const error = await rejection(handle.ping({ timeoutMs: 30 }));
      expect([error.code, error.rawMessage]).toEqual([
        "deadline_exceeded",
        'plugin "plugin" did not answer a ping within timeoutMs 30',
      ]);
      process.kill(handle.pid as number, "SIGCONT");
      expect(await unbounded).toBeGreaterThanOrEqual(30);
      expect(await handle.ping({ timeoutMs: 10_000 })).toBeGreaterThanOrEqual(0);
      expect(await desk.ask("echo x")).toBe("x");
    }));

  test("in flight when the plugin dies is rejected with how it died", () =>
    leavingNothing(async () => {
      await using sides = await open(kind);
      const { handle } = sides;
      process.kill(handle.pid as number, "SIGSTOP");
      const pings = [handle.ping(), handle.ping({ timeoutMs: 10_000 })].map(rejection);
      process.kill(handle.pid as number, "SIGKILL");
      for (const error of await within(5_000, Promise.all(pings))) {
        expect(error.code).toBe("plugin_exited");
        expect(error.message).toContain("SIGKILL");
      }
    }));
});

testGo(
  "a ping to a plugin of the Go original is unimplemented, with a bound and without",
  async () => {
    await using everything = await loadEverything(await goBinary("everything"), { logger: false });
    const handle = pluginOf(everything);
    for (const options of [{}, { timeoutMs: 1_000 }]) {
      expect((await rejection(handle.ping(options))).code).toBe("unimplemented");
    }
    expect(await everything.next(1n)).toBe(1n);
  },
);

test("a flood of pings from a peer that does not read ends the connection, within its bound", async () => {
  const [theirs, ours] = memoryTransports();
  const limits = { ...defaultLimits, maxInFlightCalls: 4 };
  const connection = new Connection({ transport: ours, limits, peerLimits: limits });
  connection.start();
  const pings = new Uint8Array(12 * 1_000);
  for (let i = 0; i < 1_000; i++) {
    pings.set(frame({ kind: FrameKind.Ping, requestId: i + 1 }), 12 * i);
  }
  let mostBytes = 0;
  await turnsUntil("the connection ends", () => {
    mostBytes = Math.max(mostBytes, ours.unsentBytes);
    if (connection.closeReason !== undefined) return true;
    theirs.buffer.set(pings, theirs.reserve(pings.byteLength));
    theirs.commit(theirs.reserve(0) + pings.byteLength);
    theirs.flush();
    return false;
  });
  expect(connection.closeReason?.code).toBe("protocol_error");
  expect(connection.closeReason?.message).toMatch(/pings unanswered|answers unread/);
  expect(mostBytes).toBeGreaterThan(0);
  expect(mostBytes).toBeLessThan(1024 * 1024);
});

test("a pong that nobody asked for, and one that comes twice, end the connection", async () => {
  for (const isAsked of [false, true]) {
    const [theirs, ours] = memoryTransports();
    const limits = defaultLimits;
    const connection = new Connection({ transport: ours, limits, peerLimits: limits });
    connection.start();
    const outcome = isAsked ? connection.ping() : Promise.resolve();
    const pong = frame({ kind: FrameKind.Pong, requestId: 1 });
    for (let i = 0; i < (isAsked ? 2 : 1); i++) {
      const at = theirs.reserve(pong.byteLength);
      theirs.buffer.set(pong, at);
      theirs.commit(at + pong.byteLength);
    }
    theirs.flush();
    await turnsUntil("the connection ends", () => connection.closeReason !== undefined);
    await outcome;
    expect(connection.closeReason?.message).toContain("pong 1 answers no ping");
  }
});
