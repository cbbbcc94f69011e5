// Versions of services: which one host and plugin agree on.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { type LoadOptions, loadPlugin, pluginOf } from "bun-plug";
import type { TestOptions } from "bun-plug/testing";

import { loadKV, testKV } from "../../example/gen/example_plug.ts";
import { type DeskHandler, Logger, type LoggerHandler, testDesk } from "../peer/gen/peer_plug.ts";
import { bytes, executable, inEveryVariant, text } from "../support/plugins.ts";
import { describeGo, goBinary, runGoHost } from "../support/go-peer.ts";
import { rejection } from "../support/rejection.ts";
import { loadEverything } from "../go/gen/interop_plug.ts";
import { Desk, Shop } from "./new/gen/contract_new_plug.ts";

const kvPlugin = join(import.meta.dir, "fixture/kv-plugin.ts");
const shopPlugin = join(import.meta.dir, "fixture/new-plugin.ts");

describe("the version that is agreed on", () => {
  test("is the highest that both have, and both are told", () =>
    inEveryVariant(async (variant) => {
      const args = ["[1, 5, 3, 4]"];
      const versions = [2, 4, 3, 6];
      await using kv = await loadKV(kvPlugin, { ...variant, args, versions });

      expect(pluginOf(kv).versions).toEqual({ "example.KV": 4 });
      expect(text(await kv.get("version"))).toBe("4");
    }));

  test("is that of the .proto on both sides, unless they say something else", async () => {
    await using kv = await loadKV(kvPlugin);

    expect(pluginOf(kv).versions).toEqual({ "example.KV": 1 });
    expect(text(await kv.get("version"))).toBe("1");
  });

  test("may be any from 1 to 2^32 - 1", async () => {
    const most = 2 ** 32 - 1;
    await using kv = await loadKV(kvPlugin, { args: [`[1, ${most}]`], versions: [most] });

    expect(text(await kv.get("version"))).toBe(`${most}`);
  });

  test("is one for each service where there are several, by full name", () =>
    inEveryVariant(async (variant) => {
      const run = { versions: { "contract.Shop": [1, 2, 3], "contract.Desk": [7] } };
      await using plugin = await loadPlugin(
        shopPlugin,
        { shop: Shop, desk: Desk },
        {
          ...variant,
          args: [JSON.stringify(run)],
          versions: { "contract.Desk": [6, 7], "contract.Shop": [2] },
        },
      );

      expect(pluginOf(plugin).versions).toEqual({ "contract.Shop": 2, "contract.Desk": 7 });
      expect(pluginOf(plugin.shop).versions).toBe(pluginOf(plugin).versions);
      expect((await plugin.shop.get("a")).total).toBe(2);
    }));

  test("may be said by full name for one service too, and is the .proto's for the others", async () => {
    const run = { versions: { "contract.Shop": [4, 5] } };
    const options = { args: [JSON.stringify(run)], versions: { "contract.Shop": [5] } };
    await using plugin = await loadPlugin(shopPlugin, { shop: Shop, desk: Desk }, options);
    await using kv = await loadKV(kvPlugin, { versions: { "example.KV": [1, 2] } });

    expect(pluginOf(plugin).versions).toEqual({ "contract.Shop": 5, "contract.Desk": 1 });
    expect(pluginOf(kv).versions).toEqual({ "example.KV": 1 });
  });

  test("is agreed on in a test of a plugin too", async () => {
    const handler = {
      get: (_key: string, { version }: { version: number }) => bytes(`${version}`),
    };
    const options = { load: { versions: [8, 9] }, run: { versions: [7, 8] } };
    await using kv = await testKV({ ...handler, put: () => {} }, options);

    expect(text(await kv.get(""))).toBe("8");
    expect(pluginOf(kv).versions).toEqual({ "example.KV": 8 });
  });
});

describe("no version in common", () => {
  test("is handshake_mismatch, which names what both have", () =>
    inEveryVariant(async (variant, trace) => {
      const error = await rejection(
        loadKV(kvPlugin, { ...variant, args: ["[4, 5]"], versions: [1, 2, 3], logger: false }),
      );

      expect([error.code, error.origin]).toEqual(["handshake_mismatch", "peer"]);
      expect(error.message).toContain(
        "the host asked for example.KV version 1 or 2 or 3; the plugin serves version 4 or 5",
      );
      expect(trace.running()).toEqual([]);
    }));

  test("of one service of several is too", async () => {
    const error = await rejection(
      loadPlugin(
        shopPlugin,
        { shop: Shop, desk: Desk },
        { versions: { "contract.Desk": [2] }, logger: false },
      ),
    );

    expect(error.code).toBe("handshake_mismatch");
    expect(error.message).toContain("contract.Desk version 2; the plugin serves version 1");
  });

  test("is so in a test of a plugin too", async () => {
    const handler = { get: () => bytes(""), put: () => {} };

    const error = await rejection(testKV(handler, { run: { versions: [2] } }));

    expect(error.code).toBe("handshake_mismatch");
    expect(error.message).toContain("example.KV version 1; the plugin serves version 2");
  });
});

describe("versions that are none", () => {
  const wrong: readonly (readonly [unknown, string])[] = [
    [[], "at least one, got []"],
    [[0], "whole numbers from 1 to 2^32 - 1, at least one, got [0]"],
    [[1, 2 ** 32], "got [1,4294967296]"],
    [[1.5], "got [1.5]"],
    [["1.0"], "got [1.0]"],
    [{ "example.KV": [] }, "versions of example.KV must be"],
    [{ "example.KV": 1 }, "versions of example.KV must be"],
    ["1", "versions must be an array of numbers, or an object of such arrays, got 1"],
    [null, "got null"],
    [1, "got 1"],
  ];
  test.each(wrong)("are invalid_argument on a load: %j", async (versions, says) => {
    const error = await rejection(loadKV(kvPlugin, { versions } as LoadOptions));

    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain(says);
  });

  test.each(wrong)("are invalid_argument on a run: %j", async (versions, says) => {
    const handler = { get: () => bytes(""), put: () => {} };

    const error = await rejection(testKV(handler, { run: { versions } } as TestOptions));

    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain(says);
  });

  test("of a plugin's run fail the load with start_failed, which says why", async () => {
    const error = await rejection(loadKV(kvPlugin, { args: ["[0]"], logger: false }));

    expect(error.code).toBe("start_failed");
    expect(error.message).toContain("versions of example.KV must be whole numbers");
  });

  test("are a list for several services, of which nobody knows whose it is", async () => {
    const error = await rejection(
      loadPlugin(shopPlugin, { shop: Shop, desk: Desk }, { versions: [1] }),
    );
    const ofRun = await rejection(
      loadPlugin(shopPlugin, { shop: Shop }, { args: [`{ "versions": [1] }`], logger: false }),
    );

    for (const { message } of [error, ofRun]) {
      expect(message).toContain(
        `versions must be an object by full name, such as { "contract.Shop": [1] }, where there are 2 services`,
      );
    }
    expect([error.code, ofRun.code]).toEqual(["invalid_argument", "start_failed"]);
  });
});

describe("a service that the host offers, or that a reference is of,", () => {
  const log: LoggerHandler = {
    log: (line) => `${line} logged`,
    tail: () => [],
    logAll: () => "",
    mirror: () => [],
  };
  const logger3 = { ...Logger, version: 3 };
  const handler = (known: typeof Logger): DeskHandler => ({
    ask: (line, context) => context.host(known).log(line, context),
    async hand(line, ref, context) {
      await using own = context.resolve(known, ref);
      return await own.log(line);
    },
    make: (line, context) => ({ text: line, ref: context.refer(known, log) }),
    watch: () => [],
    gather: () => "",
    chat: () => [],
  });

  async function outcomes(host: typeof Logger, plugin: typeof Logger, options: TestOptions) {
    const load = { offer: [[host, log] as const], ...options.load };
    await using desk = await testDesk(handler(plugin), { ...options, load });
    using ref = pluginOf(desk).refer(host, log);
    const { ref: made } = await desk.make("");
    const resolved = (async () => {
      await using own = pluginOf(desk).resolve(host, made);
      return await own.log("theirs");
    })();
    return await Promise.all(
      [desk.ask("offered"), desk.hand("ours", ref), resolved].map((outcome) =>
        outcome.catch((error) => error.message),
      ),
    );
  }
  const works = ["offered logged", "ours logged", "theirs logged"];

  test("works where both know the same version", async () => {
    expect(await outcomes(Logger, Logger, {})).toEqual(works);
    expect(await outcomes(logger3, logger3, {})).toEqual(works);
  });

  test("works where the one who is given it knows its version too", async () => {
    const versions = { "peer.Logger": [1, 3] };

    expect(await outcomes(logger3, Logger, { load: { versions }, run: { versions } })).toEqual(
      works,
    );
  });

  test("is unimplemented where the versions differ, with those of both, and only that call fails", async () => {
    const [offered, ours, theirs] = await outcomes(logger3, Logger, {});

    expect(offered).toBe(
      "[unimplemented] the host offers peer.Logger version 3; the plugin knows version 1",
    );
    expect(ours).toBe(
      "[unimplemented] the reference is of peer.Logger version 3; this side knows version 1",
    );
    expect(theirs).toBe(
      "[unimplemented] the reference is of peer.Logger version 1; this side knows version 3",
    );
  });

  test("tells its handler the version that both know, and not the highest of its own", async () => {
    const seen: number[] = [];
    const noting: LoggerHandler = {
      ...log,
      log(line, { version }) {
        seen.push(version);
        return line;
      },
    };
    const offer = [[{ ...Logger, version: 2 }, noting] as const];
    const versions = { "peer.Logger": [1, 2] };
    await using desk = await testDesk(handler(Logger), { load: { offer, versions } });

    await desk.ask("offered");

    expect(seen).toEqual([1]);
  });

  test("is not meant by a list, which is of what is loaded or run", async () => {
    const options = { load: { versions: [1, 2] }, run: { versions: [2] } };

    expect(await outcomes(Logger, Logger, options)).toEqual(works);
  });
});

describeGo(
  "with the Go original, whose plugins have one version and whose hosts ask for one,",
  () => {
    test("our host asks for the highest of its list", async () => {
      const path = await goBinary("everything");
      await using everything = await loadEverything(path, { versions: [7, 5, 6] });
      const error = await rejection(loadEverything(path, { versions: [7, 8], logger: false }));

      expect(pluginOf(everything).versions).toEqual({ "interop.Everything": 7 });
      expect(await everything.addInt32(1, 2)).toBe(3);
      expect(error.code).toBe("handshake_mismatch");
      expect(error.message).toContain("version 8");
    });

    test("our plugin takes any of its list", async () => {
      const script = (versions: string): string =>
        executable(`#!/bin/sh\nexec "${process.execPath}" "${kvPlugin}" "${versions}"\n`);
      const options = { calls: 10, timeoutMs: 15_000 };

      const [served, refused] = await Promise.all([
        runGoHost("kvhost", { ...options, plugin: script("[3, 1, 2]") }),
        runGoHost("kvhost", { ...options, plugin: script("[3, 2]") }),
      ]);

      expect(served.steps.filter(({ ok }) => !ok)).toEqual([]);
      expect(served.exitCode).toBe(0);
      expect(refused.exitCode).toBe(1);
      expect(JSON.stringify(refused.steps)).toContain("version 3 or 2");
    });
  },
);
