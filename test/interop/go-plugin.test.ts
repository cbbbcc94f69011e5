// Our host with plugins in Go: every method and type, many calls, limits, errors, mismatches.

import { expect, test } from "bun:test";

import { create } from "@bufbuild/protobuf";
import { type Any, anyPack, StringValueSchema, UInt32ValueSchema } from "@bufbuild/protobuf/wkt";
import { loadPlugin, pluginOf } from "bun-plug";

import { KV, loadKV, loadSerializer, Serializer } from "../../example/gen/example_plug.ts";
import { Decoy, Everything, loadDecoy, loadEverything } from "../go/gen/interop_plug.ts";
import { describeGo, goBinary } from "../support/go-peer.ts";
import {
  bytes,
  leavingNothing,
  nothingRuns,
  shellProgram,
  text,
  trace,
} from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";
import { within } from "../support/within.ts";
import { cases, pattern } from "./everything-cases.ts";
import { makeItem } from "./fixture/items.ts";

const callCount = 10_000;
const frameLimit = 65_536;

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function stringValue(value: string): Any {
  return anyPack(StringValueSchema, create(StringValueSchema, { value }));
}

function uint32Value(value: number): Any {
  return anyPack(UInt32ValueSchema, create(UInt32ValueSchema, { value }));
}

describeGo("the Go original's KV", () => {
  test("loads without an option, keeps values and gives them back", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    await kv.put("k", bytes("value"));
    expect(text(await kv.get("k"))).toBe("value");
    expect(pluginOf(kv).stats()).toMatchObject({ wire: 1, transport: "stdio", inFlightCount: 0 });
  });

  test("answers 10,000 calls one after the other", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    for (let i = 0; i < callCount; i += 2) {
      await kv.put(`key ${i % 64}`, bytes(`value ${i}`));
      expect(text(await kv.get(`key ${i % 64}`))).toBe(`value ${i}`);
    }
  });

  test("answers 10,000 calls placed at once, each with its own value", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    const half = range(callCount / 2);
    const puts = half.map((i) => kv.put(`key ${i}`, bytes(`value ${i}`)));
    const gets = half.map((i) => kv.get(`key ${i}`));
    expect(pluginOf(kv).stats().inFlightCount).toBe(callCount);
    await Promise.all(puts);
    expect((await Promise.all(gets)).map(text)).toEqual(half.map((i) => `value ${i}`));
  });

  test("keeps what is empty, not ASCII, or large", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    const values: readonly [string, Uint8Array][] = [
      ["", bytes("no name")],
      ["empty", bytes("")],
      ["ключ 🔑\0", bytes("ü\0")],
      ["large", pattern(60_000)],
    ];
    for (const [key, value] of values) await kv.put(key, value);
    for (const [key, value] of values) expect(await kv.get(key)).toEqual(value);
  });

  test("gives its errors as unknown, from the peer, with the handler's text", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    const error = await rejection(kv.get("NAME"));
    expect(error.code).toBe("unknown");
    expect(error.origin).toBe("peer");
    expect(error.rawMessage).toBe("key [NAME] not in database");
    await kv.put("NAME", bytes("there"));
    expect(text(await kv.get("NAME"))).toBe("there");
  });

  test("takes requests of 65,536 bytes with their frame", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    const sent = (): number => pluginOf(kv).stats().sentBytes;
    // Id 2, length 3, key 3, and 4 before the value.
    const value = pattern(frameLimit - 12);
    for (let i = 0; i < 200; i++) {
      const before = sent();
      await kv.put("k", value);
      expect(sent() - before).toBe(frameLimit);
    }
    expect(await kv.get("k")).toEqual(value);
  });

  test("is not sent a request of 65,537 bytes, which is resource_exhausted, and goes on", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    await kv.put("k", bytes("before"));
    const { sentBytes, writeCount } = pluginOf(kv).stats();
    const error = await rejection(kv.put("k", new Uint8Array(frameLimit - 11)));
    expect(error.code).toBe("resource_exhausted");
    expect(error.origin).toBe("local");
    expect(error.message).toContain("example.KV.Put");
    expect(error.message).toContain("65537 bytes");
    expect(error.message).toContain("at most 65536");
    expect(pluginOf(kv).stats()).toMatchObject({ sentBytes, writeCount, inFlightCount: 0 });
    expect(text(await kv.get("k"))).toBe("before");
  });

  test("refuses one request among others that is too large, and answers the others", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    const outcomes = await Promise.allSettled([
      kv.put("a", bytes("1")),
      kv.put("b", new Uint8Array(frameLimit)),
      kv.put("c", bytes("3")),
      kv.get("c"),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
  });
});

describeGo("a Serializer in Go", () => {
  const question = stringValue("what is the meaning of life?");

  test("answers the famous question", async () => {
    await using serializer = await loadSerializer(await goBinary("serializerplugin"));
    expect(text(await serializer.marshal({ question, answer: uint32Value(42) }))).toBe(
      '{"answer":{"value":42},"question":{"value":"what is the meaning of life?"}}',
    );
  });

  test("answers 10,000 calls", async () => {
    await using serializer = await loadSerializer(await goBinary("serializerplugin"));
    const answers = await Promise.all(
      range(callCount).map((i) => serializer.marshal({ n: uint32Value(i + 1) })),
    );
    expect(answers.map(text)).toEqual(range(callCount).map((i) => `{"n":{"value":${i + 1}}}`));
  });

  test("that is the original's own fails with its own words, since it knows no wrappers", async () => {
    await using serializer = await loadSerializer(await goBinary("example/serializer"));
    const error = await rejection(serializer.marshal({ question }));
    expect(error).toMatchObject({ code: "unknown", origin: "peer" });
    // The space is now and then another one, so that nobody compares such texts.
    expect(error.rawMessage).toMatch(/^failed to unmarshal any: proto:\snot found$/);
    expect(text(await serializer.marshal({}))).toBe("{}");
  });

  test("that is the original's own answers 10,000 calls", async () => {
    await using serializer = await loadSerializer(await goBinary("example/serializer"));
    for (let i = 0; i < callCount; i++) expect(text(await serializer.marshal({}))).toBe("{}");
  });
});

describeGo("Everything in Go", () => {
  const load = async (options = {}) =>
    await loadEverything(await goBinary("everything"), { logger: false, ...options });

  for (const method of new Set(cases.map((one) => one.method))) {
    test(`answers ${method}`, async () => {
      await using everything = await load();
      for (const { call, answer } of cases.filter((one) => one.method === method)) {
        expect(await call(everything)).toEqual(answer);
      }
    });
  }

  test("has a case above for every method that answers", () => {
    const answering = Everything.methods.map(({ localName }) => localName);
    const failing = ["fail", "print", "panic", "exit"];
    expect([...new Set(cases.map(({ method }) => method as string)), ...failing].sort()).toEqual(
      answering.sort(),
    );
  });

  test("answers all of that at once, in order", async () => {
    await using everything = await load();
    const answers = await Promise.all(cases.map(({ call }) => call(everything)));
    expect(answers).toEqual(cases.map(({ answer }) => answer));
  });

  test("answers 10,000 calls, of which some are large", async () => {
    await using everything = await load();
    await Promise.all(
      range(callCount).map(async (i) => {
        switch (i % 4) {
          case 0:
            return expect(await everything.addInt32(i, 7)).toBe(i + 7);
          case 1:
            return expect(await everything.isItem(makeItem(i), i)).toBe(true);
          case 2:
            return expect(await everything.fill(i)).toHaveLength(i);
          default:
            return expect(await everything.sum(new Uint8Array(i).fill(1))).toBe(i);
        }
      }),
    );
  });

  test("keeps the order of calls", async () => {
    await using everything = await load();
    const answers = await Promise.all(range(callCount).map(() => everything.next(1n)));
    expect(answers).toEqual(range(callCount).map((i) => BigInt(i + 1)));
  });

  for (const words of ["plain text", "", "ünïcode 💥\nsecond line", "[not_found] no code"]) {
    test(`fails with exactly the text ${JSON.stringify(words)}`, async () => {
      await using everything = await load();
      const error = await rejection(everything.fail(words));
      expect(error).toMatchObject({ code: "unknown", origin: "peer", rawMessage: words });
      expect(await everything.not(false)).toBe(true);
    });
  }

  for (const size of [65_526, 65_527, 65_528, 1_000_000, 20_000_000]) {
    test(`gives an answer with ${size} bytes`, async () => {
      await using everything = await load();
      expect(Buffer.compare(await everything.fill(size), pattern(size))).toBe(0);
      expect(await everything.not(false)).toBe(true);
    });
  }

  test("prints on the host's logger", async () => {
    const lines: unknown[] = [];
    await using everything = await load({ logger: (line: unknown) => lines.push(line) });
    await everything.log("a line");
    await everything.log("ünïcode");
    await everything[Symbol.asyncDispose]();
    expect(lines).toEqual([
      { plugin: "everything", stream: "stderr", text: "a line" },
      { plugin: "everything", stream: "stderr", text: "ünïcode" },
    ]);
  });

  test("is a Decoy with the argument for it", async () => {
    await using decoy = await loadDecoy(await goBinary("everything"), { args: ["decoy"] });
    expect(await decoy.name("duck")).toBe("decoy duck");
  });
});

describeGo(
  "a load that asks a Go plugin for something else rejects with handshake_mismatch",
  () => {
    const asked = "the host asked for example.KV by service index";
    const table = [
      {
        title: "another magic",
        services: { kv: { ...KV, magic: "other" } },
        quotes: '"magic mismatch in handshake"',
        names: `${asked} 0, magic "other", version 1`,
      },
      {
        title: "another version",
        services: { kv: { ...KV, version: 9 } },
        quotes: '"version mismatch in handshake (host: 9) (plugin: 1)"',
        names: `${asked} 0, magic "magic", version 9`,
      },
      {
        title: "another index",
        services: { kv: { ...KV, index: 3 } },
        quotes: '"first message was not a handshake"',
        names: `${asked} 3, magic "magic", version 1`,
      },
      {
        title: "another service",
        services: { decoy: Decoy },
        quotes: '"version mismatch in handshake (host: 2) (plugin: 1)"',
        names: 'the host asked for interop.Decoy by service index 0, magic "magic", version 2',
      },
      {
        title: "another service at another index",
        services: { serializer: Serializer },
        quotes: '"first message was not a handshake"',
        names:
          'the host asked for example.Serializer by service index 1, magic "s3rializer", version 2',
      },
    ];

    for (const { title, services, quotes, names } of table) {
      test(`${title}: names the host's values and quotes the plugin`, async () => {
        await leavingNothing(async () => {
          const own = trace();
          const program = shellProgram(`exec "${await goBinary("example/kv")}"`);
          const error = await within(
            2_000,
            rejection(loadPlugin(program, services, { env: own.env, logger: false })),
          );
          expect(error).toMatchObject({
            code: "handshake_mismatch",
            origin: "peer",
            retry: "never",
          });
          expect(error.message).toContain(quotes);
          expect(error.message).toContain(names);
          expect(own.started()).toHaveLength(1);
          await nothingRuns(own);
        });
      });
    }

    test("several services: names them, and says that it has one", async () => {
      await leavingNothing(async () => {
        const own = trace();
        const program = shellProgram(`exec "${await goBinary("example/kv")}"`);
        const error = await within(
          2_000,
          rejection(
            loadPlugin(
              program,
              { kv: KV, serializer: Serializer },
              { env: own.env, logger: false },
            ),
          ),
        );
        expect(error).toMatchObject({ code: "handshake_mismatch", origin: "local" });
        expect(error.message).toContain("serves one service");
        expect(error.message).toContain("example.KV, example.Serializer");
        expect(own.started()).toHaveLength(1);
        await nothingRuns(own);
      });
    });
  },
);
