// Many calls, large messages, and what PLUG_TRACE shows of them, through real processes.

import { describe, expect, test } from "bun:test";

import { pluginOf } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { compile } from "../support/compiled.ts";
import { bytes, fixture, inEveryVariant, keptLines, text, variants } from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";

const about = fixture("about");
const maxMessageBytes = 64 * 1024 * 1024;

describe("10,000 calls in flight", () => {
  test(
    "each get their own answer, whatever order the answers come in",
    () =>
      inEveryVariant(async (variant) => {
        await using kv = await loadKV(fixture("random"), variant);
        const calls = Array.from({ length: 10_000 }, (_, i) => kv.get(`later ${i}`));
        expect(pluginOf(kv).stats().inFlightCount).toBe(10_000);
        const answers = await Promise.all(calls);
        expect(answers.map(text)).toEqual([...calls.keys()].map((i) => `answer ${i}`));
        expect(pluginOf(kv).stats().inFlightCount).toBe(0);
      }),
    20_000,
  );

  test(
    "each get their own answer if only 100 of them may be in flight",
    () =>
      inEveryVariant(async (variant) => {
        await using kv = await loadKV(fixture("random"), { ...variant, maxInFlightCalls: 100 });
        const calls = Array.from({ length: 1_000 }, (_, i) => kv.get(`later ${i}`));
        const answers = await Promise.all(calls);
        expect(answers.map(text)).toEqual([...calls.keys()].map((i) => `answer ${i}`));
      }),
    20_000,
  );

  test("settle, each with its own outcome, if some are given up", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(fixture("random"), { ...variant, stopTimeoutMs: 100 });
      const outcomes = await Promise.all(
        Array.from({ length: 1_000 }, async (_, i) => {
          if (i % 10 > 0) return text(await kv.get(`later ${i}`));
          return (await rejection(kv.get("sleep 60000", { timeoutMs: 1 + (i % 50) }))).code;
        }),
      );
      expect(outcomes).toEqual(
        outcomes.map((_, i) => (i % 10 > 0 ? `answer ${i}` : "deadline_exceeded")),
      );
    }));
});

describe("a message of exactly maxMessageBytes, which is 64 MiB", () => {
  // What field 1 needs for its tag and length, and field 2.
  const keyBytes = 3;
  const headBytes = 1 + 4;

  test("arrives equal each way, and one more byte is resource_exhausted", async () => {
    // One after the other, to be gentle to small machines.
    for (const variant of variants) {
      await inEveryVariant(
        async (options) => {
          await using kv = await loadKV(about, options);
          const most = pattern(maxMessageBytes - keyBytes - headBytes);
          await kv.put("a", most);
          const back = await kv.get("value a");
          expect(back.byteLength).toBe(most.byteLength);
          expect(Buffer.compare(back, most)).toBe(0);
          expect((await kv.get(`size ${maxMessageBytes - headBytes}`)).byteLength).toBe(
            maxMessageBytes - headBytes,
          );

          const tooLong = await rejection(kv.put("a", new Uint8Array(most.byteLength + 1)));
          expect(tooLong.code).toBe("resource_exhausted");
          expect(tooLong.message).toContain(`has ${maxMessageBytes + 1} bytes`);
          expect(tooLong.message).toContain(`maxMessageBytes ${maxMessageBytes}`);
          const back1 = await rejection(kv.get(`size ${maxMessageBytes - headBytes + 1}`));
          expect(back1.code).toBe("resource_exhausted");
          expect(back1.message).toContain(`has ${maxMessageBytes + 1} bytes`);
          expect(text(await kv.get("echo still here"))).toBe("still here");
        },
        [variant],
      );
    }
  }, 30_000);

  test("may be set by the host, for both directions", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, { ...variant, maxMessageBytes: 2048 });
      expect(await kv.get("size 2045")).toHaveLength(2045);
      expect((await rejection(kv.get("size 2046"))).message).toContain("maxMessageBytes 2048");
      expect((await rejection(kv.put("a", new Uint8Array(2046)))).code).toBe("resource_exhausted");
      await kv.put("a", new Uint8Array(2042));
      expect(text(await kv.get("echo still here"))).toBe("still here");
    }));
});

describe("large and small messages at once", () => {
  test("arrive equal, in both directions", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, variant);
      const values = [0, 1, 65_535, 65_536, 65_537, 1_000_000, 5_000_000].map(pattern);
      await Promise.all(values.map((value, i) => kv.put(`${i}`, value)));
      const calls = values.map((_, i) => kv.get(`value ${i}`));
      const echoes = Array.from({ length: 500 }, (_, i) => kv.get(`echo ${i}`));
      for (const [i, back] of (await Promise.all(calls)).entries()) {
        expect(Buffer.compare(back, values[i] as Uint8Array)).toBe(0);
      }
      expect((await Promise.all(echoes)).map(text)).toEqual([...echoes.keys()].map(String));
    }));

  test("arrive equal through a compiled plugin", async () => {
    await using kv = await loadKV(await compile(about));
    const value = pattern(3_000_000);
    await kv.put("a", value);
    expect(Buffer.compare(await kv.get("value a"), value)).toBe(0);
  });
});

describe("bytes that a call returns", () => {
  test("are a Uint8Array, and pin no more memory than they have", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(about, variant);
      const sizes = [0, 3, 5_000, 60_000, 200_000];
      const values = await Promise.all(sizes.map((size) => kv.get(`size ${size}`)));
      for (const [i, value] of values.entries()) {
        expect(value.constructor).toBe(Uint8Array);
        expect(value.byteLength).toBe(sizes[i] as number);
        // The message around it, and nothing of the chunk that it came in.
        expect(value.buffer.byteLength).toBeLessThanOrEqual(value.byteLength + 16);
      }
    }));
});

describe("PLUG_TRACE=1", () => {
  test("in the plugin's environment prints each of its frames as a line on stderr", () =>
    inEveryVariant(async (variant) => {
      const { logger, texts } = keptLines();
      const env = { ...variant.env, PLUG_TRACE: "1" };
      const kv = await loadKV(about, { ...variant, env, logger });
      await kv.put("key", bytes("value"));
      await kv.get("size 200000");
      await kv[Symbol.asyncDispose]();

      const lines = texts()
        .map((line) => line.replace(/^\[plug about\.ts \d+\] /, ""))
        .map((line) => line.replace(/#\d+/, "#"));
      expect(lines.slice(0, 5)).toEqual([
        "< request # method 1, 12 bytes",
        "> response #, 0 bytes",
        "< request # method 0, 13 bytes",
        "> response #, 65536 bytes, more",
        "> continue #, 65536 bytes, more, from callee",
      ]);
    }));
});

function pattern(byteCount: number): Uint8Array {
  const value = new Uint8Array(byteCount);
  for (let i = 0; i < byteCount; i += 997) value[i] = i % 251;
  return value;
}
