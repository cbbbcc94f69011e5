// Services that the host offers, as a plugin calls them.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { loadPlugin, pluginOf } from "bun-plug";

import { loadEverything } from "../go/gen/interop_plug.ts";
import { goBinary, testGo } from "../support/go-peer.ts";
import { leavingNothing } from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";
import { LineLog } from "./fixture/line-log.ts";
import { pluginSide, TestDesk } from "./fixture/test-desk.ts";
import { Desk, loadDesk, Logger, type LoggerHandler, testDesk } from "./gen/peer_plug.ts";
import {
  booksAreEmpty,
  connectionOf,
  kinds,
  open,
  peerPlugin,
  type Sides,
} from "./support/sides.ts";

function lone() {
  return new TestDesk(pluginSide(() => {}));
}

describe.each(kinds)("over %s, a plugin", (kind) => {
  let sides: Sides;

  beforeAll(async () => {
    sides = await open(kind);
  });

  afterAll(async () => {
    await booksAreEmpty(connectionOf(sides));
    await leavingNothing(() => sides.handle.close());
  });

  test("calls what the host offers, by rpcs of all four kinds", async () => {
    const { desk, log } = sides;
    log.lines.length = 0;
    expect(await desk.ask("log one")).toBe("1");
    expect(await desk.ask("tail 500")).toEndWith("498 499 500");
    expect(await desk.ask("logAll two three")).toBe("3");
    expect(await desk.ask("mirror a b c")).toBe("a b c");
    expect(log.lines).toEqual(["one", "two", "three"]);
  });

  test("calls it on its own behalf too, and several services of it", async () => {
    const { desk, log } = sides;
    log.lines.length = 0;
    expect(await desk.ask("plain log x")).toBe("1");
    expect(await desk.ask("down 1 echo from the host's desk")).toBe("from the host's desk");
    expect(log.lines).toEqual(["x"]);
  });

  test("is told what is offered when it wants something else", async () => {
    const error = await rejection(sides.desk.ask("missing"));
    expect(error.code).toBe("unimplemented");
    expect(error.rawMessage).toBe(
      "the host does not offer peer.Missing; it offers peer.Logger, peer.Desk",
    );
  });
});

test("a host that offers nothing says so", async () => {
  await using desk = await testDesk(lone());
  const error = await rejection(desk.ask("log x"));
  expect([error.code, error.rawMessage]).toEqual([
    "unimplemented",
    "the host does not offer peer.Logger; it offers nothing",
  ]);
});

test("an offered service in another version is not offered", async () => {
  const load = { offer: [[Logger, new LineLog()]] as const, versions: { "peer.Logger": [7, 9] } };
  await using desk = await testDesk(lone(), { load });
  const error = await rejection(desk.ask("log x"));
  expect([error.code, error.rawMessage]).toEqual([
    "unimplemented",
    "the host offers peer.Logger version 7 or 9; the plugin knows version 1",
  ]);
});

test("what an offered handler throws reaches the plugin, and through it the host", async () => {
  const log = new LineLog();
  log.log = () => {
    throw new RangeError("too many lines");
  };
  await using desk = await testDesk(lone(), { load: { offer: [[Logger, log]] } });
  const error = await rejection(desk.ask("log x"));
  expect([error.code, error.rawMessage]).toEqual(["unknown", "too many lines"]);
});

test("context.host is not for the host's own handlers", async () => {
  await using sides = await open("memory");
  const error = await rejection(sides.desk.ask("down 1 log x"));
  expect([error.code, error.rawMessage]).toEqual([
    "failed_precondition",
    "context.host is for plugins; this is the host",
  ]);
});

describe("a load", () => {
  test("refuses an offered handler that lacks a method, before anything is started", () =>
    leavingNothing(async () => {
      const half = { log: () => "" } as unknown as LoggerHandler;
      const error = await rejection(loadDesk(peerPlugin, { offer: [[Logger, half]] }));
      expect([error.code, error.rawMessage]).toEqual([
        "invalid_argument",
        "the handler of peer.Logger lacks tail(), logAll(), mirror()",
      ]);
    }));

  test("refuses a service that is offered twice, and what is no offer", async () => {
    const pair = [Logger, new LineLog()] as const;
    const twice = await rejection(loadDesk(peerPlugin, { offer: [pair, pair] }));
    expect([twice.code, twice.rawMessage]).toEqual([
      "invalid_argument",
      "peer.Logger is served twice",
    ]);
    for (const offer of [Logger, [Logger], [[Logger]], "Logger"]) {
      const error = await rejection(loadDesk(peerPlugin, { offer: offer as never }));
      expect(error.code).toBe("invalid_argument");
    }
  });

  test("refuses offers that do not fit into the handshake", () =>
    leavingNothing(async () => {
      const offer = Array.from(
        { length: 60 },
        (_, i) =>
          [{ ...Logger, typeName: `peer.Logger${i}.${"x".repeat(60)}` }, new LineLog()] as const,
      );
      const error = await rejection(loadDesk(peerPlugin, { offer }));
      expect(error.code).toBe("resource_exhausted");
      expect(error.message).toContain("4096");
    }));
});

test("clients of several services of one plugin reach the same offers", async () => {
  const log = new LineLog();
  await using plugin = await loadPlugin(peerPlugin, { desk: Desk }, { offer: [[Logger, log]] });
  expect(await plugin.desk.ask("log x")).toBe("1");
  expect(pluginOf(plugin).versions).toEqual({ "peer.Desk": 1 });
});

testGo("a plugin of the Go original loads with offers, and knows nothing of them", () =>
  leavingNothing(async () => {
    const log = new LineLog();
    const options = { logger: false, offer: [[Logger, log]] } as const;
    await using everything = await loadEverything(await goBinary("everything"), options);
    const handle = pluginOf(everything);
    expect(handle.stats().wire).toBe(1);
    expect(await everything.next(1n)).toBe(1n);
    expect(() => handle.refer(Logger, log)).toThrow("knows no references");
    expect(() => handle.resolve(Logger, undefined)).toThrow("knows no references");
  }),
);
