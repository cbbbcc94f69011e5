// When a host and its plugin look for what comes, and when they sleep.

import { describe, expect, test } from "bun:test";
import { availableParallelism } from "node:os";

import { type LoadOptions, pluginOf } from "bun-plug";

import { type KV, loadKV } from "../../example/gen/example_plug.ts";
import { bellCount } from "../support/bells.ts";
import { ninetieth, timerLateness } from "../support/lateness.ts";
import { fixture, text } from "../support/plugins.ts";
import { polls } from "../support/polls.ts";
import { runScript } from "../support/scripts.ts";

interface Usage {
  readonly cpuMs: number;
  readonly bellCount: number;
  readonly vainCount: number;
  readonly spanMs: number;
}

type Client = KV & AsyncDisposable;

function load(options: LoadOptions = {}): Promise<Client> {
  return loadKV(fixture("watched"), { transport: "ring", ...options });
}

function hostUsage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1_000, bellCount: bellCount(), ...polls() };
}

async function pluginUsage(kv: Client): Promise<Usage> {
  return JSON.parse(text(await kv.get("usage")));
}

/** What both sides have used while `body` ran. */
async function usedBy(
  kv: Client,
  body: () => Promise<unknown>,
): Promise<{ readonly host: Usage; readonly plugin: Usage }> {
  const plugin = await pluginUsage(kv);
  const host = hostUsage();
  await body();
  return { host: less(hostUsage(), host), plugin: less(await pluginUsage(kv), plugin) };
}

function less(after: Usage, before: Usage): Usage {
  return {
    cpuMs: after.cpuMs - before.cpuMs,
    bellCount: after.bellCount - before.bellCount,
    vainCount: after.vainCount - before.vainCount,
    spanMs: after.spanMs - before.spanMs,
  };
}

async function callOneByOne(kv: Client, count: number, key = "echo a"): Promise<void> {
  for (let i = 0; i < count; i++) await kv.get(key);
}

// With one core there is no polling, so there is nothing to look at here.
const isOneCore = availableParallelism() < 2;

describe.skipIf(isOneCore)("a call", () => {
  test.each(["echo a", "later a"])(
    "that comes right after another goes without a doorbell, and so does its answer: %s",
    async (key) => {
      // It takes a core for each of them; other processes may have them for a while.
      let silentCount = 0;
      for (const until = performance.now() + 20_000; performance.now() < until;) {
        await using kv = await load();
        for (let round = 0; round < 300 && silentCount < 3; round++) {
          const { host, plugin } = await usedBy(kv, () => callOneByOne(kv, 40, key));
          if (host.bellCount + plugin.bellCount === 0) silentCount += 1;
        }
        if (silentCount === 3) break;
        await Bun.sleep(100);
      }
      expect(silentCount).toBe(3);
    },
  );

  test("after a long pause goes by the doorbell, and so does its answer", async () => {
    await using kv = await load();
    await callOneByOne(kv, 200);
    const { host, plugin } = await usedBy(kv, async () => {
      for (let i = 0; i < 5; i++) {
        await Bun.sleep(30);
        await kv.get("echo a");
      }
    });
    // Nor did either look for anything after it.
    for (const { bellCount, vainCount } of [host, plugin]) {
      expect(bellCount).toBeGreaterThanOrEqual(4);
      expect(vainCount).toBeLessThan(400);
    }
  });

  test("goes by the doorbell with poll: false, and nobody looks for anything", async () => {
    await using kv = await load({ poll: false, env: { POLL: "0" } });
    const count = 300;
    const { host, plugin } = await usedBy(kv, () => callOneByOne(kv, count));
    // On one core, whoever is woken goes on at once: the other is not asleep yet when it is written to.
    expect(host.bellCount + plugin.bellCount).toBeGreaterThan(count * 0.9);
    // One look before it goes to sleep, and one when it was woken for nothing.
    for (const { vainCount } of [host, plugin]) expect(vainCount).toBeLessThan(count * 2.5);
  });
});

test("an idle host and an idle plugin use no CPU after a tight loop", async () => {
  // A process of its own: this one may have something else to do.
  await using script = runScript(fixture("host/idle"));
  const used = JSON.parse(await script.line("used"));
  // What they say of themselves is a call, and Bun looks for garbage now and then.
  expect(used.host).toBeLessThan(20);
  expect(used.plugin).toBeLessThan(20);
});

test("a host whose plugin takes 1 ms for each call spends less than 2 % of the time polling", async () => {
  await using kv = await load();
  await callOneByOne(kv, 200);
  await callOneByOne(kv, 50, "work 1000");
  const startedAt = performance.now();
  const { host } = await usedBy(kv, () => callOneByOne(kv, 300, "work 1000"));
  expect(host.spanMs / (performance.now() - startedAt)).toBeLessThan(0.02);
});

describe("while one call is awaited after the other, without end,", () => {
  async function inATightLoop<T>(kv: Client, body: () => Promise<T>): Promise<T> {
    await callOneByOne(kv, 200);
    let isOver = false;
    let count = 0;
    const loop = (async () => {
      for (; !isOver; count++) await kv.get("echo a");
    })();
    const result = await body();
    isOver = true;
    await loop;
    expect(count).toBeGreaterThan(100);
    return result;
  }

  test("timers of the host and of the plugin come in time", async () => {
    await using kv = await load();
    const [host, plugin] = await inATightLoop(kv, () =>
      Promise.all([timerLateness(300), kv.get("lateness 300")]),
    );
    expect(host).toBeLessThan(5);
    expect(Number(text(plugin))).toBeLessThan(5);
  });

  test("data of another socket comes in time", async () => {
    await using kv = await load();
    using server = Bun.listen({
      hostname: "localhost",
      port: 0,
      socket: { data: (socket, chunk) => void socket.write(chunk) },
    });
    let heard = Promise.withResolvers<void>();
    const socket = await Bun.connect({
      hostname: "localhost",
      port: server.port,
      socket: { data: () => heard.resolve() },
    });
    const spans = await inATightLoop(kv, async () => {
      const spans: number[] = [];
      for (let i = 0; i < 200; i++) {
        heard = Promise.withResolvers();
        const startedAt = performance.now();
        socket.write("hello");
        await heard.promise;
        spans.push(performance.now() - startedAt);
        await Bun.sleep(1);
      }
      return spans;
    });
    socket.end();
    expect(ninetieth(spans)).toBeLessThan(5);
  });

  test("a plugin that was loaded beside it answers in time", async () => {
    await using kv = await load();
    await using other = await load();
    const spans = await inATightLoop(kv, async () => {
      const spans: number[] = [];
      for (let i = 0; i < 50; i++) {
        const startedAt = performance.now();
        await other.get("echo a");
        spans.push(performance.now() - startedAt);
        await Bun.sleep(1);
      }
      return spans;
    });
    expect(ninetieth(spans)).toBeLessThan(10);
  });
});

test("the ring is what plugins are loaded on unless told otherwise", async () => {
  await using kv = await loadKV(fixture("watched"));
  expect(pluginOf(kv).stats().transport).toBe("ring");
});
