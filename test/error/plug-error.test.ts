import { describe, expect, test } from "bun:test";

import * as forHosts from "bun-plug";
import * as forPlugins from "bun-plug/plugin";
import { isPlugError, PlugError } from "../../src/error/plug-error.ts";

const bytes = Uint8Array.of(1, 2);

describe("PlugError", () => {
  test("leads its message with its code, and has the rest as rawMessage", () => {
    const error = new PlugError("not_found", "no value");

    expect([error.message, error.rawMessage]).toEqual(["[not_found] no value", "no value"]);
    expect([error.name, error.code]).toEqual(["PlugError", "not_found"]);
    expect(String(error)).toBe("PlugError: [not_found] no value");
  });

  test("origin defaults to local", () => {
    expect(new PlugError("aborted", "x").origin).toBe("local");
    expect(new PlugError("aborted", "x", { origin: "peer" }).origin).toBe("peer");
  });

  test("keeps its cause, and has none if none was given", () => {
    const cause = new Error("why");

    expect(new PlugError("aborted", "x", { cause }).cause).toBe(cause);
    expect("cause" in new PlugError("aborted", "x")).toBe(false);
  });

  test("says how a process ended", () => {
    const process = { exitCode: 3, signal: null, stderrTail: ["last words"] };

    expect(new PlugError("plugin_exited", "x", { process }).process).toEqual(process);
    expect(new PlugError("plugin_exited", "x").process).toBeUndefined();
  });

  test("has the details that it is given, and none unless it is", () => {
    const details = [{ $typeName: "google.protobuf.Any" as const, typeUrl: "a/b", value: bytes }];

    expect(new PlugError("aborted", "x", { details }).details).toBe(details);
    expect(new PlugError("aborted", "x").details).toEqual([]);
  });

  test("has a stack of the peer only if it is given one", () => {
    expect(new PlugError("aborted", "x", { peerStack: "at there" }).peerStack).toBe("at there");
    expect("peerStack" in new PlugError("aborted", "x")).toBe(false);
    expect("peerStack" in new PlugError("aborted", "x", { peerStack: undefined })).toBe(false);
  });

  test("of a code that there is not may be tried again nowhere", () => {
    for (const code of ["too_hot", "constructor", "__proto__"]) {
      expect(new PlugError(code as never, "x").retry).toBe("never");
    }
  });

  test("is one class for hosts and plugins", () => {
    expect(forHosts.PlugError).toBe(PlugError);
    expect(forPlugins.PlugError).toBe(PlugError);
  });
});

// What another copy of this package, in a bundle, makes of the same source.
class PlugErrorOfAnotherCopy extends Error {
  readonly code = "not_found";
  get [Symbol.for("bun-plug.PlugError")](): true {
    return true;
  }
}

describe("isPlugError", () => {
  test("is true across copies of this package", () => {
    const foreign = new PlugErrorOfAnotherCopy("x");

    expect(foreign instanceof PlugError).toBe(false);
    expect(isPlugError(foreign)).toBe(true);
  });

  test("is true for a subclass", () => {
    class KeyError extends PlugError {}

    expect(isPlugError(new KeyError("not_found", "x"))).toBe(true);
  });

  test.each([
    ["an Error", new Error("x")],
    ["an object with a code", { code: "not_found", message: "x" }],
    ["an object that has the mark", { [Symbol.for("bun-plug.PlugError")]: true }],
    ["null", null],
    ["undefined", undefined],
    ["a string", "[not_found] x"],
  ])("is false for %s", (_, value) => {
    expect(isPlugError(value)).toBe(false);
  });
});
