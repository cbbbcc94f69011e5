import { describe, expect, test } from "bun:test";

import { type ErrorCode, type ErrorDetail, errorCodes, isPlugError, PlugError } from "bun-plug";
import fc from "fast-check";
import {
  decodeError,
  encodeError,
  errorText,
  maxErrorDetailBytes,
  maxErrorMessageChars,
} from "../../src/frame/error-payload.ts";
import { joined } from "../support/cuts.ts";
import { protobuf } from "../support/handshake.ts";

const allCodes = Object.keys(errorCodes) as ErrorCode[];

describe("decodeError(encodeError())", () => {
  const mayPass = allCodes.filter((code) => errorCodes[code].raisedBy === "anyone");
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

    // A callee that drains says so in the answer to a call, and is believed.
    const fromPeer = code === "draining" ? "draining" : "unknown";
    expect([fromHandler.code, fromPeerThatLies.code]).toEqual(["unknown", fromPeer]);
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

function detail(byteCount: number, typeUrl = "type.googleapis.com/a.B"): ErrorDetail {
  const value = new Uint8Array(byteCount).fill(7);
  return { $typeName: "google.protobuf.Any", typeUrl, value };
}

function crossed(error: unknown, exposeStack = false): PlugError {
  return decodeError(encodeError(error, "handler", exposeStack));
}

describe("details", () => {
  test("cross over in order, of whatever type", () => {
    const details = [detail(3), detail(0, "x"), detail(300)];

    expect(crossed(new PlugError("aborted", "x", { details })).details).toEqual(details);
    expect(crossed(new PlugError("aborted", "x")).details).toEqual([]);
    expect(crossed(new Error("x")).details).toEqual([]);
  });

  test("are copies of what came in", () => {
    const payload = encodeError(new PlugError("aborted", "x", { details: [detail(3)] }));
    const error = decodeError(payload);

    payload.fill(0xdd);

    expect(error.details).toEqual([detail(3)]);
  });

  test("may have 16 KiB together; with one byte more all are left out, and the text says so", () => {
    // Two tags, two lengths and the type, which has 23 characters; and 4 for each detail's own.
    const rest = 1 + 1 + 23 + 1 + 3 + 4;
    const fits = [detail(maxErrorDetailBytes / 2 - rest + 1), detail(8_192 - rest + 1)];
    const tooMuch = [fits[0] as ErrorDetail, detail(8_192 - rest + 2)];

    const whole = crossed(new PlugError("aborted", "sorry", { details: fits }));
    const without = crossed(new PlugError("aborted", "sorry", { details: tooMuch }));

    expect(maxErrorDetailBytes).toBe(16_384);
    expect(whole.rawMessage).toBe("sorry");
    expect(Bun.deepEquals(whole.details, fits)).toBe(true);
    expect([without.code, without.details]).toEqual(["aborted", []]);
    expect(without.rawMessage).toBe(
      "sorry (its details were left out: 16385 bytes, more than 16384)",
    );
  });

  // Of another copy of this package, or of nobody who has a type checker.
  test("that are none are left out, and nothing is thrown", () => {
    const good = detail(3);
    const wrong: unknown[] = [undefined, null, 5, "x", {}, { details: 1 }];
    for (const details of wrong) {
      expect(crossed(tampered(details)).details).toEqual([]);
    }
    const mixed = [null, good, 5, { typeUrl: 1, value: good.value }, { typeUrl: "a", value: "b" }];
    expect(crossed(tampered(mixed)).details).toEqual([good]);
  });

  test("skip fields that are not known, and have nothing where there is nothing", () => {
    const payload = protobuf([
      [1, "aborted"],
      [
        3,
        [
          [9, 1],
          [1, "a"],
          [10, "later"],
        ],
      ],
      [3, []],
    ]);

    expect(decodeError(payload).details).toEqual([detail(0, "a"), detail(0, "")]);
  });

  test("that cannot be read make an error of nothing but that", () => {
    const payload = joined(protobuf([[3, [[1, "a"]]]]), Uint8Array.of(0x1a, 2, 0x0a, 9));
    const error = decodeError(payload);

    expect(error.details).toEqual([]);
    expect(error.rawMessage).toBe(`an error of ${payload.byteLength} bytes that could not be read`);
  });
});

function tampered(details: unknown): unknown {
  return Object.defineProperty(new PlugError("aborted", "x"), "details", { value: details });
}

describe("the stack", () => {
  test("crosses over with exposeStack alone, and is nobody's own stack", () => {
    const cause = new TypeError("x");

    expect(crossed(cause, true).peerStack).toBe(cause.stack as string);
    expect(crossed(cause, true).stack).not.toBe(cause.stack as string);
    expect("peerStack" in crossed(cause)).toBe(false);
    expect(crossed(new PlugError("aborted", "x"), true).peerStack).toContain("PlugError");
  });

  test("is cut at 2,048 characters, and is none where there is none", () => {
    const withStack = (stack: unknown): PlugError =>
      crossed(Object.defineProperty(new Error("x"), "stack", { value: stack }), true);

    expect(withStack("x".repeat(2_048)).peerStack).toBe("x".repeat(2_048));
    expect(withStack(`${"x".repeat(2_048)}y`).peerStack).toStartWith("x".repeat(2_048));
    expect(withStack(`${"x".repeat(2_048)}y`).peerStack).not.toContain("y");
    expect(withStack(undefined).peerStack).toBeUndefined();
    expect(withStack("").peerStack).toBeUndefined();
    expect(crossed("no error", true).peerStack).toBeUndefined();
    expect(
      crossed(
        Object.defineProperty(new Error("x"), "stack", {
          get() {
            throw new Error("no");
          },
        }),
        true,
      ).rawMessage,
    ).toBe("x");
  });
});

// A frame has no more than 65,536 bytes, and 16 KiB of trailers and their length go before the error.
test("encodeError makes no more than 48 KiB, whatever text, details and stack there are", () => {
  const widest = "漢".repeat(maxErrorMessageChars);
  const error = new PlugError("aborted", widest, { details: [detail(16_300)] });
  Object.defineProperty(error, "stack", { value: widest });

  const payload = encodeError(error, "handler", true);
  const back = decodeError(payload);

  expect(payload.byteLength).toBeLessThanOrEqual(65_536 - 16_384 - 4);
  expect(back.rawMessage).toBe(widest);
  expect(Bun.deepEquals(back.details, [detail(16_300)])).toBe(true);
});

test("encodeError makes no more than 48 KiB also of many details of nothing", () => {
  const nothing = {
    $typeName: "google.protobuf.Any" as const,
    typeUrl: "",
    value: new Uint8Array(0),
  };
  const error = new PlugError("aborted", "漢".repeat(8_192), {
    details: new Array(4_096).fill(nothing),
  });
  Object.defineProperty(error, "stack", { value: "漢".repeat(8_192) });
  const payload = encodeError(error, "handler", true);
  // With 16 KiB of trailers and their length it has to fit into a frame.
  expect(payload.byteLength).toBeLessThanOrEqual(65_536 - 16_384 - 4);
  expect(decodeError(payload).rawMessage).toStartWith("漢".repeat(8_192));
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
    const unknownField = Uint8Array.of(0x2a, 0x02, 1, 2); // field 5
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
