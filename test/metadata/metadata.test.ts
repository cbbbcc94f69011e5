import { describe, expect, test } from "bun:test";

import * as forHosts from "bun-plug";
import * as forPlugins from "bun-plug/plugin";
import { Metadata, type MetadataInit } from "bun-plug";
import { traceOf } from "../../src/metadata/metadata.ts";
import { thrown } from "../support/rejection.ts";

const bytes = Uint8Array.of(0, 255, 10);

test("Metadata is one class for hosts and plugins", () => {
  expect(forHosts.Metadata).toBe(Metadata);
  expect(forPlugins.Metadata).toBe(Metadata);
});

describe("Metadata is made of", () => {
  const inits: readonly (readonly [string, MetadataInit])[] = [
    ["an object", { a: "1", b: ["2", "3"], "c-bin": bytes, left: undefined }],
    ["an object with lists of one", { a: ["1"], b: ["2", "3"], "c-bin": [bytes], none: [] }],
    [
      "pairs",
      [
        ["a", "1"],
        ["b", "2"],
        ["b", "3"],
        ["c-bin", bytes],
      ],
    ],
    ["a Map", new Map<string, string | Uint8Array>([["a", "1"]])],
    ["other Metadata", new Metadata({ a: "1", b: ["2", "3"], "c-bin": bytes })],
  ];
  test.each(inits)("%s", (title, init) => {
    const pairs = [...new Metadata(init)];

    const all: [string, string | Uint8Array][] = [
      ["a", "1"],
      ["b", "2"],
      ["b", "3"],
      ["c-bin", bytes],
    ];
    expect(pairs).toEqual(title === "a Map" ? all.slice(0, 1) : all);
  });

  test("nothing", () => {
    expect([...new Metadata()]).toEqual([]);
    expect(new Metadata().size).toBe(0);
  });

  test("other Metadata as a copy: what is done to one is not done to the other", () => {
    const original = new Metadata({ a: "1" });
    const copy = new Metadata(original);

    copy.append("a", "2");
    original.set("b", "3");

    expect(original.toJSON()).toEqual({ a: "1", b: "3" });
    expect(copy.toJSON()).toEqual({ a: ["1", "2"] });
  });
});

describe("a name of Metadata", () => {
  test("is not case-sensitive, and is kept in lower case", () => {
    const metadata = new Metadata({ "X-Trace": "1" });
    metadata.append("x-TRACE", "2");

    expect(metadata.get("X-TRACE")).toBe("1");
    expect(metadata.getAll("x-trace")).toEqual(["1", "2"]);
    expect(metadata.has("X-trace")).toBe(true);
    expect([...metadata].map(([name]) => name)).toEqual(["x-trace", "x-trace"]);
    expect(metadata.delete("X-Trace")).toBe(true);
    expect(metadata.has("x-trace")).toBe(false);
  });

  test("in upper case may end in -BIN too", () => {
    expect(new Metadata({ "DATA-BIN": bytes }).getBytes("data-bin")).toBe(bytes);
  });

  // The names that every object has are names like others.
  test("may be one of an object's own", () => {
    const metadata = new Metadata([
      ["constructor", "1"],
      ["__proto__", "2"],
      ["tostring", "3"],
    ]);

    expect(metadata.get("__proto__")).toBe("2");
    expect(new Metadata().get("constructor")).toBeUndefined();
    expect(Object.keys(metadata.toJSON())).toEqual(["constructor", "__proto__", "tostring"]);
  });

  test("is 1 to 256 characters of a-z, 0-9, hyphen, low line and full stop", () => {
    const right = ["a", "0", "a-b_c.d", "x".repeat(256), "-bin".padStart(256, "x")];
    const wrong = ["", "x".repeat(257), "a b", "a:b", "ä", "a\n", "a\0", "ﬁ", "(", "a=b"];

    for (const name of right) {
      expect(() => new Metadata([[name, name.endsWith("-bin") ? bytes : "v"]])).not.toThrow();
    }
    for (const name of wrong) {
      const error = thrown(() => new Metadata([[name, "v"]]));
      expect(error.code).toBe("invalid_argument");
      expect(error.message).toContain("1 to 256 characters");
      expect(error.message).toContain(JSON.stringify(name));
    }
  });
});

describe("a value of Metadata", () => {
  test("is any text of one line", () => {
    for (const value of ["", " two words ", "ünïcode 💥", "tab\tand \x1b", "x".repeat(100_000)]) {
      expect(new Metadata({ a: value }).get("a")).toBe(value);
    }
    for (const value of ["a\nb", "a\rb", "a\0b"]) {
      const error = thrown(() => new Metadata({ a: value }));
      expect(error.message).toStartWith("[invalid_argument] header a takes text of one line");
    }
  });

  test("is bytes where the name ends in -bin, and only there", () => {
    expect(thrown(() => new Metadata({ "a-bin": "text" })).message).toBe(
      "[invalid_argument] header a-bin takes bytes, got string",
    );
    expect(thrown(() => new Metadata({ a: bytes })).message).toBe(
      "[invalid_argument] header a takes text of one line, got object; bytes need a name that ends in -bin",
    );
  });

  test("of another type is invalid_argument, which names the header and the type", () => {
    for (const value of [1, true, {}, null, undefined, 1n]) {
      const error = thrown(() => new Metadata([["a", value as never]]));
      expect(error.code).toBe("invalid_argument");
      expect(error.message).toContain(`header a takes text of one line, got ${typeof value}`);
    }
  });

  test("that is wrong changes nothing", () => {
    const metadata = new Metadata({ a: "1" });

    thrown(() => metadata.set("a", "\n"));
    thrown(() => metadata.append("a", 2 as never));

    expect(metadata.toJSON()).toEqual({ a: "1" });
  });

  test("is kept as it is given: bytes are not copied", () => {
    const own = Uint8Array.of(1);
    const metadata = new Metadata({ "a-bin": own });

    own[0] = 2;

    expect(metadata.getBytes("a-bin")).toBe(own);
  });
});

describe("Metadata", () => {
  const metadata = new Metadata({ a: ["1", "2"], "b-bin": [bytes, Uint8Array.of(1)] });

  test("get gives the first text, getBytes the first bytes, getAll all", () => {
    expect([metadata.get("a"), metadata.getBytes("b-bin")]).toEqual(["1", bytes]);
    expect([metadata.get("b-bin"), metadata.getBytes("a")]).toEqual([undefined, undefined]);
    expect([metadata.get("c"), metadata.getBytes("c-bin")]).toEqual([undefined, undefined]);
    expect(metadata.getAll("b-bin")).toEqual([bytes, Uint8Array.of(1)]);
    expect(metadata.getAll("c")).toEqual([]);
  });

  test("size counts names, and iteration gives one pair for each value, in order", () => {
    expect(metadata.size).toBe(2);
    expect([...metadata]).toEqual([
      ["a", "1"],
      ["a", "2"],
      ["b-bin", bytes],
      ["b-bin", Uint8Array.of(1)],
    ]);
  });

  test("set replaces all values of a name, append adds one; both can be chained", () => {
    const changed = new Metadata(metadata).set("a", "3").append("c", "4").append("a", "5");

    expect(changed.toJSON()).toEqual({
      a: ["3", "5"],
      "b-bin": [bytes, Uint8Array.of(1)],
      c: "4",
    });
  });

  test("delete says whether there was one", () => {
    const changed = new Metadata(metadata);

    expect([changed.delete("a"), changed.delete("a")]).toEqual([true, false]);
    expect(changed.size).toBe(1);
  });

  test("toJSON has a value for a name with one, and a list for one with several", () => {
    expect(JSON.stringify(new Metadata({ a: "1", b: ["2", "3"] }))).toBe('{"a":"1","b":["2","3"]}');
  });

  test("is not made of what is no object: invalid_argument, which says what it got", () => {
    for (const init of ["a=b", 5, null, true]) {
      expect(thrown(() => new Metadata(init as never)).message).toBe(
        `[invalid_argument] headers must be an object, got ${init}`,
      );
    }
  });
});

describe("traceOf", () => {
  test("takes traceparent, tracestate and baggage with all their values, and nothing else", () => {
    const headers = new Metadata({
      authorization: "secret",
      baggage: ["a=1", "b=2"],
      Traceparent: "00-1-2-01",
      tracestate: "c=3",
      "traceparent-bin": bytes,
    });

    expect(traceOf(headers)?.toJSON()).toEqual({
      traceparent: "00-1-2-01",
      tracestate: "c=3",
      baggage: ["a=1", "b=2"],
    });
  });

  test("is undefined where there is none", () => {
    expect(traceOf(new Metadata({ a: "1" }))).toBeUndefined();
  });
});
