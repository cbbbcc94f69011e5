import { describe, expect, test } from "bun:test";

import { type ErrorCode, errorCodes, isPlugError, PlugError } from "bun-plug";
import fc from "fast-check";
import {
  decodeError,
  encodeError,
  errorText,
  maxErrorMessageChars,
} from "../../src/frame/error-payload.ts";
import { joined } from "../support/cuts.ts";

const allCodes = Object.keys(errorCodes) as ErrorCode[];

describe("decodeError(encodeError())", () => {
  const mayPass = allCodes.filter(
    (code) => errorCodes[code].raisedBy === "anyone" || code === "draining",
  );
  test.each(mayPass)("brings over %s, its text and that the peer said it", (code) => {
    const error = decodeError(encodeError(new PlugError(code, "no value under “k”")));

    expect(error.code).toBe(code);
    expect(error.rawMessage).toBe("no value under “k”");
    expect(error.origin).toBe("peer");
  });

  const mayNotPass = allCodes.filter((code) => !mayPass.includes(code));
  test.each(mayNotPass)("makes unknown of %s, which only the runtime raises", (code) => {
    const fromHandler = decodeError(encodeError(new PlugError(code, "x")));
    const fromPeerThatLies = decodeError(encodeError(new PlugError(code, "x"), "runtime"));

    expect([fromHandler.code, fromPeerThatLies.code]).toEqual(["unknown", "unknown"]);
  });

  test.each(allCodes)("brings over %s if the runtime speaks", (code) => {
    const error = decodeError(encodeError(new PlugError(code, "x"), "runtime"), "runtime");

    expect(error.code).toBe(code);
  });

  test("makes unknown of a plain Error, with its message", () => {
    const error = decodeError(encodeError(new TypeError("x is not a function")));

    expect([error.code, error.rawMessage]).toEqual(["unknown", "x is not a function"]);
  });

  test("cuts messages of more than 8,192 characters", () => {
    const exact = "x".repeat(maxErrorMessageChars);

    expect(maxErrorMessageChars).toBe(8_192);
    expect(errorText(new Error(exact)).message).toBe(exact);
    expect(errorText(new Error(`${exact}y`)).message).toBe(`${exact}…`);
  });
});

// `throw` takes anything. A value that cannot be told in words is still an answer.
describe("encodeError of what a handler may throw", () => {
  const thrownValues: readonly [string, () => unknown][] = [
    ["a string", () => "oops"],
    ["undefined", () => undefined],
    ["null", () => null],
    ["a symbol", () => Symbol("oops")],
    ["a number", () => 42n],
    ["an object without a prototype", () => Object.create(null)],
    [
      "an object whose toString throws",
      () => ({
        toString() {
          throw new Error("no");
        },
      }),
    ],
    ["an Error whose message is a number", () => Object.assign(new Error(), { message: 7 })],
    [
      "an Error whose message is undefined",
      () => Object.assign(new Error(), { message: undefined }),
    ],
    [
      "an Error whose message throws",
      () =>
        Object.defineProperty(new Error(), "message", {
          get() {
            throw new Error("no");
          },
        }),
    ],
    ["a PlugError of a newer copy of this package", foreignError],
    ["a text with half of a surrogate pair", () => new Error("a\ud800b")],
  ];
  test.each(thrownValues)("does not throw for %s", (_, make) => {
    const error = decodeError(encodeError(make()));

    expect(error.code).toBe("unknown");
    expect(typeof error.rawMessage).toBe("string");
  });
});

function foreignError(): unknown {
  const error = new Error("[too_hot] it is too hot");
  return Object.defineProperties(error, {
    [Symbol.for("bun-plug.PlugError")]: { value: true },
    code: { value: "too_hot" },
    rawMessage: { value: "it is too hot" },
  });
}

describe("decodeError", () => {
  test("says how many bytes could not be read", () => {
    const error = decodeError(Uint8Array.of(0x12, 0x7f, 1, 2));

    expect(error.code).toBe("unknown");
    expect(error.rawMessage).toBe("an error of 4 bytes that could not be read");
  });

  test("skips fields that it does not know", () => {
    const unknownField = Uint8Array.of(0x2a, 0x02, 1, 2);
    const error = decodeError(joined(unknownField, encodeError(new PlugError("aborted", "x"))));

    expect([error.code, error.rawMessage]).toEqual(["aborted", "x"]);
  });

  test("gives a PlugError for any bytes, with a bounded text", () => {
    const almost = fc
      .tuple(fc.constantFrom(...allCodes, "nonsense"), fc.string(), fc.nat(60), fc.nat(255))
      .map(([code, text, at, byte]) => {
        const payload = encodeError(new PlugError(code as ErrorCode, text), "runtime");
        payload[at % payload.byteLength] = byte;
        return payload;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), almost), (payload) => {
        const error = decodeError(payload);

        expect(isPlugError(error)).toBe(true);
        expect(Object.hasOwn(errorCodes, error.code)).toBe(true);
        expect(error.rawMessage.length).toBeLessThanOrEqual(maxErrorMessageChars + 1);
      }),
      { numRuns: 5_000, seed: 6 },
    );
  });
});
