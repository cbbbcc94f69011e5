// Hosts that cannot await: loads and calls that block, on every transport, and what goes on meanwhile.

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { loadPlugin, loadPluginSync, type PlugError, pluginOf } from "bun-plug";

import {
  KV,
  type KVHandler,
  loadKV,
  loadKVSync,
  Serializer,
  testKV,
} from "../../example/gen/example_plug.ts";
import { Desk, loadDesk, loadDeskSync, Logger, type LoggerHandler } from "../peer/gen/peer_plug.ts";
import { TestDesk } from "../peer/fixture/test-desk.ts";
import { temporaryFolder } from "../support/compiled.ts";
import {
  bytes,
  fixture,
  inEveryVariant,
  keptLines,
  leavingNothing,
  shellProgram,
  text,
  variants,
} from "../support/plugins.ts";
import { eventually, isRunning } from "../support/processes.ts";
import { rejection, thrown } from "../support/rejection.ts";
import { runScript } from "../support/scripts.ts";

const about = fixture("about");
const dying = fixture("dying");
const deskPlugin = join(import.meta.dir, "../peer/fixture/plugin.ts");

// The descriptors of a load that blocks are of bun:ffi's making.
const blocking = variants.filter(({ title }) => !title.includes("without"));
// A plugin that the event loop reads from stdio cannot be waited for.
const usual = blocking.filter(({ transport }) => transport !== "stdio");

const spans = { drainTimeoutMs: 300, stopTimeoutMs: 300 };

describe("a load that blocks", () => {
  test("returns a client whose calls return", () =>
    inEveryVariant(async (variant) => {
      const kv = loadKVSync(about, variant);
      kv.put("a", bytes("b"));
      expect(text(kv.get("value a"))).toBe("b");
      expect(pluginOf(kv).stats().transport).toBe(variant.transport as "ring");
      expect(pluginOf(kv).sync as object).toBe(kv);
      await pluginOf(kv).close();
    }, blocking));

  test("takes several services", () =>
    inEveryVariant(async (variant) => {
      using plugin = loadPluginSync(fixture("services"), { kv: KV, data: Serializer }, variant);
      expect(text(plugin.kv.get("x"))).toBe("value of x");
      expect(text(plugin.data.marshal({ one: {}, two: {} }))).toBe("one,two");
    }, blocking));

  test("starts to close the plugin when it is disposed of", () =>
    inEveryVariant(async (variant) => {
      const kv = loadKVSync(about, variant);
      const { closed, pid } = pluginOf(kv);
      kv[Symbol.dispose]();
      expect((await closed).message).toContain("was closed");
      expect(isRunning(pid as number)).toBe(false);
      expect(thrown(() => kv.get("value a")).code).toBe("unavailable");
    }, blocking));

  test("throws what a program is that is no plugin, and leaves nothing behind", () =>
    inEveryVariant(async (variant) => {
      const cases: readonly [path: string, code: PlugError["code"], says: string][] = [
        ["/bin/cat", "not_a_plugin", "echoed the handshake"],
        ["/bin/true", "not_a_plugin", "exited with code 0"],
        ["/bin/false", "start_failed", "exited with code 1"],
        ["/nowhere/to/be/found", "start_failed", "there is no such file"],
        [shellProgram("echo hello; sleep 60"), "not_a_plugin", `printed "hello\\n"`],
        [shellProgram("echo went wrong >&2; exit 4"), "start_failed", "went wrong"],
        [shellProgram("kill -9 $$"), "start_failed", "was killed by SIGKILL"],
      ];
      for (const [path, code, says] of cases) {
        const error = thrown(() => loadKVSync(path, { ...variant, logger: false }));
        expect(error.message).toContain(says);
        expect(error.code).toBe(code);
      }
    }, blocking));

  test("throws after startTimeoutMs, also if the program prints without end", () =>
    inEveryVariant(
      async (variant) => {
        const silent = shellProgram("exec sleep 60");
        const loud = shellProgram("yes >&2 & sleep 60");
        for (const path of [silent, loud]) {
          const startedAt = performance.now();
          const error = thrown(() =>
            loadKVSync(path, { ...variant, startTimeoutMs: 200, logger: false }),
          );
          expect(error.code).toBe("not_a_plugin");
          expect(error.message).toContain("within startTimeoutMs 200");
          expect(performance.now() - startedAt).toBeLessThan(2_000);
        }
      },
      blocking.slice(0, 1),
    ));

  test("lets a plugin print more than a pipe holds before it answers", () =>
    leavingNothing(async () => {
      const path = join(temporaryFolder(), "loud.ts");
      writeFileSync(
        path,
        `process.stderr.write("x".repeat(1_000_000) + "\\n");\nawait import(${JSON.stringify(about)});\n`,
      );
      const { logger, texts } = keptLines();
      const kv = loadKVSync(path, { logger });
      expect(text(kv.get("echo here"))).toBe("here");
      await pluginOf(kv).close();
      expect(texts().join("").length).toBe(1_000_000);
    }));

  test("works in a host whose event loop never turns before it ends", async () => {
    const path = join(temporaryFolder(), "host.ts");
    writeFileSync(
      path,
      `import { loadKVSync } from ${JSON.stringify(join(import.meta.dir, "../../example/gen/example_plug.ts"))};
       using kv = loadKVSync(${JSON.stringify(about)});
       for (let i = 0; i < 1000; i++) kv.put("n", new Uint8Array([i & 255]));
       console.log("got " + kv.get("value n")[0]);`,
    );
    await using host = runScript(path);
    expect(await host.line("got")).toBe(String(999 & 255));
    expect(await host.ends()).toBe(0);
  });

  test("says so where bun:ffi is not to be had", async () => {
    const path = join(temporaryFolder(), "host.ts");
    writeFileSync(
      path,
      `import { loadKVSync, loadKV } from ${JSON.stringify(join(import.meta.dir, "../../example/gen/example_plug.ts"))};
       import { pluginOf } from "bun-plug";
       try { loadKVSync(${JSON.stringify(about)}); } catch (error) { console.log("load " + error.code); }
       await using kv = await loadKV(${JSON.stringify(about)});
       try { pluginOf(kv).sync.get("echo x"); } catch (error) { console.log("call " + error.code); }`,
    );
    await using host = runScript(path, {
      env: { PLUG_NO_FFI: "1" },
      command: [
        process.execPath,
        "--tsconfig-override",
        join(import.meta.dir, "../../tsconfig.json"),
        path,
      ],
    });
    expect(await host.line("load")).toBe("unimplemented");
    expect(await host.line("call")).toBe("unimplemented");
  });
});

describe("a call that blocks", () => {
  test("is there beside those that do not", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, variant);
      const { sync } = pluginOf(kv);
      expect(pluginOf(kv).sync).toBe(sync);
      sync.put("a", bytes("b"));
      expect(text(await kv.get("value a"))).toBe("b");
      expect(text(sync.get("value a"))).toBe("b");
      await using plugin = await loadPlugin(
        fixture("services"),
        { kv: KV, data: Serializer },
        variant,
      );
      expect(text(pluginOf(plugin).sync.kv.get("x"))).toBe("value of x");
      expect(text(pluginOf(plugin.data).sync.marshal({ one: {} }))).toBe("one");
    }, usual));

  test("throws unimplemented on stdio that the event loop reads", async () => {
    await using kv = await loadKV(about, { transport: "stdio" });
    const error = thrown(() => pluginOf(kv).sync.get("echo x"));
    expect(error.code).toBe("unimplemented");
    expect(error.message).toContain("load…Sync");
    expect(text(await kv.get("echo y"))).toBe("y");
  });

  test("is all that can be had on stdio after a load that blocks", async () => {
    const kv = loadKVSync(about, { transport: "stdio" });
    expect((await rejection(pluginOf(kv).ping())).code).toBe("unimplemented");
    expect(text(kv.get("echo x"))).toBe("x");
    await pluginOf(kv).close();
  });

  test("throws what the handler threw, and what does not fit", () =>
    inEveryVariant(async (variant) => {
      using kv = loadKVSync(about, { ...variant, maxMessageBytes: 2_000_000 });
      const error = thrown(() => kv.get("nonsense"));
      expect([error.code, error.origin]).toEqual(["not_found", "peer"]);
      expect(thrown(() => kv.put("k", new Uint8Array(3_000_000))).code).toBe("resource_exhausted");
      expect(thrown(() => kv.get("size 3000000")).code).toBe("resource_exhausted");
      expect(text(kv.get("echo on"))).toBe("on");
    }, blocking));

  test("moves messages of many pieces both ways", () =>
    inEveryVariant(async (variant) => {
      using kv = loadKVSync(about, variant);
      const value = new Uint8Array(5_000_000);
      for (let i = 0; i < value.length; i += 4099) value[i] = i & 255;
      kv.put("long", value);
      const back = kv.get("size 5000000");
      expect(back.byteLength).toBe(5_000_000);
      expect(back.every((byte) => byte === 7)).toBe(true);
    }, blocking));

  test("ends at its deadline, and the next one is answered", () =>
    inEveryVariant(async (variant) => {
      using kv = loadKVSync(about, { ...variant, ...spans });
      for (const timeoutMs of [1, 60]) {
        const startedAt = performance.now();
        const error = thrown(() => kv.get("sleep 60000", { timeoutMs }));
        const tookMs = performance.now() - startedAt;
        expect(error.code).toBe("deadline_exceeded");
        expect(error.message).toContain(`timeoutMs ${timeoutMs}`);
        expect(tookMs).toBeGreaterThanOrEqual(timeoutMs);
        expect(tookMs).toBeLessThan(1_000);
      }
      expect(thrown(() => kv.get("echo x", { timeoutMs: 0 })).code).toBe("deadline_exceeded");
      expect(thrown(() => kv.get("echo x", { timeoutMs: -1 })).code).toBe("invalid_argument");
      expect(thrown(() => kv.get("echo x", { signal: AbortSignal.abort() })).code).toBe(
        "cancelled",
      );
      expect(text(kv.get("echo on"))).toBe("on");
    }, blocking));

  test("ends at its deadline if the plugin is frozen", () =>
    inEveryVariant(async (variant) => {
      const kv = loadKVSync(about, { ...variant, ...spans });
      process.kill(pluginOf(kv).pid as number, "SIGSTOP");
      expect(thrown(() => kv.get("echo x", { timeoutMs: 80 })).code).toBe("deadline_exceeded");
      await pluginOf(kv).close();
    }, blocking));

  test("sleeps while it waits", () =>
    inEveryVariant(
      async (variant) => {
        using kv = loadKVSync(about, variant);
        for (let i = 0; i < 5; i++) kv.get("sleep 1");
        const before = process.cpuUsage();
        kv.get("sleep 1000");
        const { user, system } = process.cpuUsage(before);
        // A fifth of a second at most, where a spin would take all of it.
        expect(user + system).toBeLessThan(200_000);
      },
      blocking.slice(0, 1),
    ));

  test("leaves answers to other calls to their callers, in order", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, variant);
      const order: string[] = [];
      const others = ["sleep 1", "echo a", "echo b", "nonsense", "echo c"].map((key) =>
        kv.get(key).then(
          (value) => void order.push(text(value)),
          (error: PlugError) => void order.push(error.code),
        ),
      );
      // Longer than all the others.
      expect(text(pluginOf(kv).sync.get("sleep 100"))).toBe("100");
      expect(order).toEqual([]);
      await Promise.all(others);
      expect(order).toEqual(["a", "b", "not_found", "c", "1"]);
    }, usual));

  test("goes on where other calls wait for a place", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, { ...variant, maxInFlightCalls: 2 });
      const others = [kv.get("sleep 50"), kv.get("sleep 50"), kv.get("sleep 1"), kv.get("echo d")];
      expect(text(pluginOf(kv).sync.get("echo me"))).toBe("me");
      expect((await Promise.all(others)).map(text)).toEqual(["50", "50", "1", "d"]);
    }, usual));

  test("reads what the plugin prints meanwhile", () =>
    inEveryVariant(async (variant) => {
      const { logger, lines } = keptLines();
      const kv = loadKVSync(fixture("printing"), { ...variant, logger });
      expect(text(kv.get("flood 1000000"))).toBe("1000000");
      await pluginOf(kv).close();
      // The plugin's own ways of printing overtake each other, so lines may be mixed.
      const printed = (name: string): number =>
        lines
          .filter(({ stream }) => stream === name)
          .reduce((sum, { text }) => sum + [...text.matchAll(/x/g)].length, 0);
      const half = 1023 * Math.ceil(1_000_000 / 2048);
      // Where the protocol is on stdout, prints go to stderr.
      const isShared = variant.transport === "stdio";
      expect(printed("stderr")).toBe(isShared ? 2 * half : half);
      expect(printed("stdout")).toBe(isShared ? 0 : half);
    }, blocking));

  test("does not go through interceptors, and says so", async () => {
    const interceptors = [(request: never, next: (request: never) => never) => next(request)];
    const options = { interceptors: interceptors as never, logger: false as const };
    expect(thrown(() => loadKVSync(about, options)).message).toContain("interceptors");
    await using kv = await loadKV(about, options);
    expect(thrown(() => pluginOf(kv).sync).message).toContain("interceptors");
  });

  test("is not there for rpcs that stream", () =>
    leavingNothing(async () => {
      const desk = loadDeskSync(deskPlugin, { logger: false });
      // @ts-expect-error: it streams out
      const watch: unknown = desk.watch;
      // @ts-expect-error: it streams in
      const gather = desk.gather as () => unknown;
      expect(thrown(() => (watch as () => unknown).call(desk)).message).toContain("streams");
      expect(thrown(() => gather.call(desk)).code).toBe("unimplemented");
      await pluginOf(desk).close();
    }));

  test("leaves nothing in memory, however many there are in one turn", () =>
    leavingNothing(async () => {
      using kv = loadKVSync(about);
      const call = (): void => void kv.get("echo x", { timeoutMs: 60_000 });
      for (let i = 0; i < 5_000; i++) call();
      Bun.gc(true);
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < 20_000; i++) call();
      Bun.gc(true);
      // One forgotten object of each call would be more.
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000);
    }));
});

describe("a plugin that dies while a call blocks", () => {
  async function diesOf(
    command: string,
    says: string,
    tail?: string,
    among = blocking,
  ): Promise<void> {
    await inEveryVariant(async (variant) => {
      const kv = loadKVSync(dying, { ...variant, ...spans, logger: false });
      const startedAt = performance.now();
      const error = thrown(() => kv.get(command));
      expect(performance.now() - startedAt).toBeLessThan(2_500);
      expect(error.code).toBe("plugin_exited");
      expect(error.message).toContain(says);
      expect(error.message).toContain("while 1 call was in flight");
      if (tail !== undefined) expect(error.process?.stderrTail.join("\n")).toContain(tail);
      expect(thrown(() => kv.get("echo later")).message).toBe(error.message);
      expect(await pluginOf(kv).closed).toBe(error);
    }, among);
  }

  test("by an exit", () => diesOf("exit 3", "exited with code 3", "it exits with 3"));
  test("by a signal", () => diesOf("kill SIGKILL", "was killed by SIGKILL", "it ends by SIGKILL"));
  test("by an error nobody caught", () => diesOf("throw oops", "exited with code", "oops"));
  test("with last words", () => diesOf("words 30", "exited with code 1", "word 29"));
  test("by closing its connection", () =>
    diesOf("close", "has closed its connection", undefined, blocking.slice(0, 1)));

  test("settles all others with the same reason", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(dying, { ...variant, ...spans, logger: false });
      const others = [kv.get("never"), kv.get("never", { timeoutMs: 60_000 })].map(rejection);
      const error = thrown(() => pluginOf(kv).sync.get("exit 3"));
      expect(error.message).toContain("while 3 calls were in flight");
      expect(await Promise.all(others)).toEqual([error, error]);
    }, usual));

  test("between two of them is seen by the next", () =>
    inEveryVariant(async (variant) => {
      const kv = loadKVSync(about, { ...variant, ...spans });
      expect(text(kv.get("echo x"))).toBe("x");
      process.kill(pluginOf(kv).pid as number, "SIGKILL");
      expect(thrown(() => kv.get("echo y")).message).toContain("was killed by SIGKILL");
      await pluginOf(kv).closed;
    }, blocking));

  test("does not read any more, though it runs", () =>
    inEveryVariant(
      async (variant) => {
        const kv = loadKVSync(dying, { ...variant, ...spans, logger: false });
        expect(text(kv.get("deaf"))).toBe("soon");
        Bun.sleepSync(100);
        expect(thrown(() => kv.get("echo x")).code).toBe("plugin_exited");
        await pluginOf(kv).closed;
      },
      blocking.filter(({ transport }) => transport === "stdio"),
    ));

  test("says that it has read what nobody has written", () =>
    inEveryVariant(
      async (variant) => {
        const kv = loadKVSync(dying, { ...variant, ...spans, logger: false });
        expect(text(kv.get("lies"))).toBe("soon");
        Bun.sleepSync(100);
        const error = thrown(() => kv.put("k", new Uint8Array(4_000_000)));
        expect(error.code).toBe("plugin_exited");
        await pluginOf(kv).closed;
      },
      blocking.slice(0, 1),
    ));

  test("breaks the protocol", () =>
    inEveryVariant(async (variant) => {
      const kv = loadKVSync(dying, { ...variant, ...spans, logger: false });
      expect(thrown(() => kv.get("garbage")).code).toBe("protocol_error");
      await pluginOf(kv).closed;
    }, blocking));
});

describe("a call of the plugin's while the host blocks", () => {
  const lines: string[] = [];
  const logger: LoggerHandler = {
    log(line) {
      lines.push(line);
      return line === "later" ? Bun.sleep(1).then(() => line) : line.toUpperCase();
    },
    *tail() {},
    logAll: () => "",
    mirror: (messages) => messages,
  };
  const unused = undefined as never;
  const kinds = blocking.map(({ transport }) => transport as "ring");

  test("is answered if its handler returns a plain value", () =>
    leavingNothing(async () => {
      for (const transport of kinds) {
        const desk = loadDeskSync(deskPlugin, { transport, offer: [[Logger, logger]] });
        expect(desk.ask("log hello")).toBe("HELLO");
        expect(desk.ask("plain log hello")).toBe("HELLO");
        await pluginOf(desk).close();
      }
    }));

  test("fails if its handler returns a promise, or streams", () =>
    leavingNothing(async () => {
      for (const transport of kinds) {
        const desk = loadDeskSync(deskPlugin, { transport, offer: [[Logger, logger]] });
        const error = thrown(() => desk.ask("log later"));
        expect(error.code).toBe("failed_precondition");
        expect(error.message).toContain("peer.Logger.Log returned a promise");
        expect(thrown(() => desk.ask("tail 3")).code).toBe("failed_precondition");
        expect(desk.ask("log on")).toBe("ON");
        await pluginOf(desk).close();
      }
    }));

  test("may block in its turn, as deep as it goes", () =>
    leavingNothing(async () => {
      for (const transport of kinds) {
        const hostDesk: TestDesk = new TestDesk({ other: () => unused });
        hostDesk.ask = (command) => (command.startsWith("down") ? desk.ask(command) : command);
        const desk = loadDeskSync(deskPlugin, { transport, offer: [[Desk, hostDesk]] });
        expect(desk.ask("down 1 echo x")).toBe("x");
        expect(desk.ask("down 21 echo x")).toBe("x");
        await pluginOf(desk).close();
      }
    }));

  test("is answered also behind one that blocks in its turn", () =>
    leavingNothing(async () => {
      for (const transport of kinds) {
        const store: KVHandler = {
          get: (key) => (key === "first" ? kv.get("untilSecond") : bytes(key)),
          put() {},
        };
        const kv = loadKVSync(fixture("pestering"), { transport, offer: [[KV, store]] });
        expect(text(kv.get("both", { timeoutMs: 5_000 }))).toBe("both");
        await pluginOf(kv).close();
      }
    }));

  test("does not hold up the deadline, however many there are", () =>
    leavingNothing(async () => {
      for (const transport of kinds) {
        const store: KVHandler = { get: (key) => bytes(key), put() {} };
        const offer = [[KV, store]] as const;
        const kv = loadKVSync(fixture("pestering"), { transport, offer, ...spans });
        const startedAt = performance.now();
        expect(thrown(() => kv.get("pester", { timeoutMs: 100 })).code).toBe("deadline_exceeded");
        expect(performance.now() - startedAt).toBeLessThan(1_000);
        await pluginOf(kv).close();
      }
    }));

  test("may block on another plugin, whose calls are answered too", () =>
    leavingNothing(async () => {
      const other = loadDeskSync(deskPlugin, { offer: [[Logger, logger]] });
      const asking: LoggerHandler = { ...logger, log: (line) => other.ask(`log ${line}`) };
      const desk = loadDeskSync(deskPlugin, { offer: [[Logger, asking]] });
      expect(desk.ask("log through")).toBe("THROUGH");
      await Promise.all([pluginOf(desk).close(), pluginOf(other).close()]);
    }));

  test("may not block on the same plugin where the host awaits", () =>
    leavingNothing(async () => {
      for (const transport of ["ring", "socket"] as const) {
        let error: PlugError | undefined;
        const asking: LoggerHandler = {
          ...logger,
          log(line) {
            error ??= thrown(() => pluginOf(desk).sync.ask("echo x"));
            return line;
          },
        };
        const desk = await loadDesk(deskPlugin, { transport, offer: [[Logger, asking]] });
        expect(await desk.ask("log here")).toBe("here");
        expect(error?.code).toBe("failed_precondition");
        expect(pluginOf(desk).sync.ask("log there")).toBe("there");
        await desk[Symbol.asyncDispose]();
      }
    }));
});

describe("a handler that a test runs in its own process", () => {
  test("answers calls that block if it returns plain values", async () => {
    await using kv = await testKV({ get: (key) => bytes(key), put() {} });
    const { sync } = pluginOf(kv);
    sync.put("a", bytes("b"));
    expect(text(sync.get("a"))).toBe("a");
    expect(text(await kv.get("c"))).toBe("c");
  });

  test("fails them if it returns a promise", async () => {
    await using kv = await testKV({ get: async (key) => bytes(key), put: async () => {} });
    const error = thrown(() => pluginOf(kv).sync.get("a"));
    expect(error.code).toBe("failed_precondition");
    expect(text(await kv.get("a"))).toBe("a");
  });
});

test("a host that blocks for long gets no less of its event loop afterwards", async () => {
  await using kv = await loadKV(about);
  const { sync } = pluginOf(kv);
  let ticks = 0;
  const timer = setInterval(() => void (ticks += 1), 1);
  for (let i = 0; i < 2_000; i++) sync.get("echo x");
  expect(ticks).toBe(0);
  await eventually("timers run", () => ticks > 5);
  clearInterval(timer);
  expect(text(await kv.get("echo y"))).toBe("y");
});
