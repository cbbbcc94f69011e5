// What the caller gets when a handler fails.

import { describe, expect, test } from "bun:test";

import { errorCodes } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { fixture, inEveryVariant, text } from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";

const failing = fixture("failing");
const codesOf = (raisedBy: "anyone" | "runtime"): string[] =>
  Object.entries(errorCodes).flatMap(([code, info]) => (info.raisedBy === raisedBy ? [code] : []));

describe("a handler that fails", () => {
  test("with a PlugError gives its code and its message, at once or later", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(failing, variant);
      for (const code of codesOf("anyone")) {
        for (const error of await Promise.all([
          rejection(kv.get(`plug ${code}`)),
          rejection(kv.get(`later ${code}`)),
        ])) {
          expect(error.code as string).toBe(code);
          expect(error.rawMessage).toBe(`it is ${code}`);
          expect(error.origin).toBe("peer");
        }
      }
    }));

  // A caller that sees plugin_exited would start another plugin.
  test("with a code of the runtime's own gives unknown", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(failing, variant);
      for (const code of codesOf("runtime")) {
        const error = await rejection(kv.get(`plug ${code}`));
        expect(error.code).toBe("unknown");
        expect(error.rawMessage).toBe(`it is ${code}`);
      }
    }));

  test("with a code that there is not gives unknown", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(failing, variant);
      const error = await rejection(kv.get("plug no_such_code"));
      expect(error.code).toBe("unknown");
      expect(error.rawMessage).toBe("it is no_such_code");
    }));

  test("with a plain Error gives unknown and its message", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(failing, variant);
      const error = await rejection(kv.get("error the disk is full: 100 %, ünïcode"));
      expect(error.code).toBe("unknown");
      expect(error.message).toBe("[unknown] the disk is full: 100 %, ünïcode");
      expect(error.origin).toBe("peer");
      expect(error.process).toBeUndefined();
    }));

  test("with a string, or with nothing, gives unknown and its text", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(failing, variant);
      const thrown = [kv.get("string plain text"), kv.get("undefined")].map(rejection);
      const errors = await Promise.all(thrown);
      expect(errors.map((error) => error.message)).toEqual([
        "[unknown] plain text",
        "[unknown] undefined",
      ]);
    }));

  test("with a message of 1 MB gives the first 8,192 characters of it", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(failing, variant);
      expect((await rejection(kv.get("long 8192"))).rawMessage).toBe("x".repeat(8192));
      expect((await rejection(kv.get("long 1000000"))).rawMessage).toBe(`${"x".repeat(8192)}…`);
    }));

  test("by what it returns gives internal, which names the method", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(failing, variant);
      const error = await rejection(kv.get("number"));
      expect(error.code).toBe("internal");
      expect(error.message).toContain(
        "the handler of example.KV.Get returned what is not a response",
      );
    }));

  test("fails its own call and no other, and can be called again", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(failing, variant);
      const slow = kv.get("sleep 50");
      const failures = Array.from({ length: 100 }, () => rejection(kv.get("later aborted")));
      const echoes = Array.from({ length: 100 }, (_, i) => kv.get(`echo ${i}`));
      expect((await Promise.all(failures)).every(({ code }) => code === "aborted")).toBe(true);
      expect((await Promise.all(echoes)).map(text)).toEqual([...echoes.keys()].map(String));
      expect(text(await slow)).toBe("50");
    }));
});
