// Metadata from end to end: over every transport, with every kind of rpc.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { type CallContext, Metadata, pluginOf } from "bun-plug";

import { Desk, Logger, type LoggerHandler, testDesk } from "../peer/gen/peer_plug.ts";
import { rejection } from "../support/rejection.ts";
import { metadataDesk, plain } from "./support/desk.ts";
import { type Client, kinds, told, transports, valueFor } from "./support/kinds.ts";

const sentHeaders = new Metadata([
  ["Name", "first"],
  ["name", "ünïcode 💥"],
  ["empty", ""],
  ["data-bin", Uint8Array.of(0, 255, 10)],
]);
const seenHeaders = ["name: first", "name: ünïcode 💥", "empty: ", "data-bin: 0,255,10"];

describe.each(transports)("over $over,", ({ open }) => {
  let desk: Client;

  beforeAll(async () => {
    desk = await open();
  });

  afterAll(() => desk[Symbol.asyncDispose]());

  describe.each(kinds)("a $kind call", ({ kind, place }) => {
    const messages = kind.includes("server") || kind.includes("bidi") ? 2 : 1;
    test("brings its headers to the handler, and the handler's headers and trailers back", async () => {
      const script = { headers: { h: "1", "h-bin": "ab" }, trailers: { t: "2", "t-bin": "cd" } };

      const { events, texts } = await told(place, desk, script, sentHeaders);

      expect(texts.map((text) => JSON.parse(text))).toEqual(new Array(messages).fill(seenHeaders));
      expect(metadataOf(events)).toEqual([
        "header h: 1 h-bin: 97,98",
        "trailer t: 2 t-bin: 99,100",
        "end",
      ]);
    });

    test("tells of no headers and no trailers, once each, where there are none", async () => {
      const { events, texts } = await told(place, desk, {});

      expect(texts.map((text) => JSON.parse(text))).toEqual(new Array(messages).fill([]));
      expect(metadataOf(events)).toEqual(["header", "trailer", "end"]);
      // What gives one message settles with it.
      if (messages === 1) expect(events.indexOf("message")).toBe(2);
    });

    test("that fails brings headers and trailers back, before it settles", async () => {
      const script = { headers: { h: "1" }, trailers: { t: "2" }, error: "sorry" };

      const { events, error } = await told(place, desk, script);

      expect(error?.rawMessage).toBe("sorry");
      expect(metadataOf(events)).toEqual(["header h: 1", "trailer t: 2", "aborted"]);
    });

    test("that fails is told of no headers and no trailers, once each, where there are none", async () => {
      const { events } = await told(place, desk, { error: "sorry" });

      expect(metadataOf(events)).toEqual(["header", "trailer", "aborted"]);
    });

    test("that fails before its first message is told of both all the same", async () => {
      const { events } = await told(place, desk, { error: "sorry", count: 0 });

      expect(metadataOf(events)).toEqual(["header", "trailer", "aborted"]);
    });

    test("may be of messages that are sent in pieces, in both directions", async () => {
      const length = 200_000;
      const script = { headers: { h: "1" }, trailers: { t: "2" }, length };
      const padded = { ...script, calls: [], padding: "p".repeat(length) };

      const { events, texts } = await told(place, desk, padded, sentHeaders);

      expect(texts.map((text) => text.length)).toEqual(new Array(messages).fill(length));
      expect(events[0]).toBe("header h: 1");
      expect(events).toContain("trailer t: 2");
      expect(events.at(-1)).toBe("end");
    });

    test.each(["onHeader", "onTrailer"] as const)(
      "ends with what %s throws, and no other call does",
      async (callback) => {
        const cause = new Error("the callback does not like it");
        const options = {
          [callback]: () => {
            throw cause;
          },
        };
        const other = told(place, desk, { trailers: { t: "2" } });

        const error = await rejection(Array.fromAsync(place(desk, "{}", options)));
        const ofError = await rejection(
          Array.fromAsync(place(desk, `{ "headers": { "h": "1" }, "error": "sorry" }`, options)),
        );

        for (const { rawMessage, origin } of [error, ofError]) {
          expect([rawMessage, origin]).toEqual([cause.message, "local"]);
        }
        expect(error.cause).toBe(cause);
        expect((await other).events).toContain("trailer t: 2");
        expect((await told(place, desk, {})).events.at(-1)).toBe("end");
      },
    );

    test("with headers of more than maxMetadataBytes is not sent: resource_exhausted with both numbers", async () => {
      const before = pluginOf(desk).stats();

      const { error } = await told(place, desk, {}, { a: valueFor(8_193) });

      expect(error?.code).toBe("resource_exhausted");
      expect(error?.origin).toBe("local");
      expect(error?.message).toMatch(
        /headers of peer\.Desk\.\w+ have 8193 bytes, more than maxMetadataBytes 8192$/,
      );
      expect(pluginOf(desk).stats()).toEqual(before);
    });

    test("may have headers, response headers and trailers of maxMetadataBytes each", async () => {
      const a = valueFor(8_192);
      const { events, texts } = await told(place, desk, { headers: { a }, trailers: { a } }, { a });

      expect(JSON.parse(texts[0] as string)).toEqual([`a: ${a}`]);
      expect(events[0]).toBe(`header a: ${a}`);
      expect(events).toContain(`trailer a: ${a}`);
    });

    test.each(["headers", "trailers"] as const)(
      "whose handler sets %s of more than maxMetadataBytes fails: resource_exhausted with both numbers",
      async (place$) => {
        const { error } = await told(place, desk, { [place$]: { a: valueFor(8_193) } });

        expect([error?.code, error?.origin]).toEqual(["resource_exhausted", "peer"]);
        expect(error?.message).toContain(
          place$ === "headers" ? "response headers of" : "trailers of",
        );
        expect(error?.message).toMatch(
          /of peer\.Desk\.\w+ have 8193 bytes, more than maxMetadataBytes 8192$/,
        );
      },
    );

    test("that fails with trailers that are too long fails without them", async () => {
      const script = { headers: { h: "1" }, trailers: { a: valueFor(8_193) }, error: "sorry" };

      const { events, error } = await told(place, desk, script);

      expect(error?.rawMessage).toBe("sorry");
      expect(events[0]).toBe("header h: 1");
      expect(events).toContain("trailer");
    });
  });

  test("maxMetadataBytes is the lower one of both sides, and may be 0: no metadata at all", async () => {
    await using strict = await open({ run: { maxMetadataBytes: 0 } });
    await using other = await open({ load: { maxMetadataBytes: 100 } });

    const refused = await rejection(strict.ask("{}", { headers: { a: "1" } }));
    const ofHandler = await rejection(strict.ask(`{ "trailers": { "t": "1" } }`));
    const fits = await told(kinds[0]!.place, other, { headers: { a: valueFor(100) } });
    const tooLong = await rejection(other.ask(`{ "headers": { "a": "${valueFor(101)}" } }`));

    expect(refused.message).toEndWith("have 8 bytes, more than maxMetadataBytes 0");
    expect(ofHandler.message).toEndWith("have 8 bytes, more than maxMetadataBytes 0");
    expect(fits.events.at(-1)).toBe("end");
    expect(tooLong.message).toEndWith("have 101 bytes, more than maxMetadataBytes 100");
    expect(await strict.ask("{}", { headers: {} })).toBe("[]");
  });

  test("a call to an object has headers beside its object id, its deadline and a message in pieces", async () => {
    const { ref } = await desk.make("");
    await using logger = pluginOf(desk).resolve(Logger, ref);
    const options = { headers: sentHeaders, timeoutMs: 10_000 };

    const short = JSON.parse(await logger.log("line", options));
    const long = JSON.parse(await logger.log("x".repeat(200_000), options));

    expect(short).toEqual([4, ...seenHeaders]);
    expect(long).toEqual([200_000, ...seenHeaders]);
  });

  describe("a call that a handler makes", () => {
    const trace = {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      tracestate: "congo=t61rcWkgMzE",
      baggage: "user=1",
    };
    const others = { authorization: "secret", "grpc-trace-bin": Uint8Array.of(1), traceid: "1" };
    const inherited = Object.entries(trace).map(([name, value]) => `${name}: ${value}`);

    async function seenByHost(headers: Record<string, string | Uint8Array>) {
      const seen: Record<string, string[]> = {};
      const logger: Partial<LoggerHandler> = {
        log(way, { requestHeaders }) {
          seen[way] = plain(requestHeaders).sort();
          return "";
        },
      };
      await using client = await open({ load: { offer: [[Logger, whole(logger)]] } });
      const calls = ["context", "in options", "with own headers", "without"];
      await client.ask(JSON.stringify({ calls }), { headers });
      return seen;
    }

    test("with its context inherits the trace context, and nothing else", async () => {
      expect(await seenByHost({ ...trace, ...others })).toEqual({
        context: inherited.toSorted(),
        "in options": inherited.toSorted(),
        "with own headers": [
          ...inherited.filter((line) => !line.startsWith("tracestate")),
          "own: 1",
          "tracestate: own",
        ].toSorted(),
        without: [],
      });
    });

    test("inherits nothing where there is no trace context", async () => {
      expect(await seenByHost(others)).toEqual({
        context: [],
        "in options": [],
        "with own headers": ["own: 1", "tracestate: own"],
        without: [],
      });
    });
  });
});

test("trace context goes on through a chain of calls, host to plugin to host and back", async () => {
  const seen: string[][] = [];
  const logger: Partial<LoggerHandler> = {
    async log(_text, context: CallContext) {
      seen.push(plain(context.requestHeaders));
      return await desk.ask("{}", { context, timeoutMs: 5_000 });
    },
  };
  await using desk = await testDesk(metadataDesk(), { load: { offer: [[Logger, whole(logger)]] } });

  await desk.ask(`{ "calls": ["in options"] }`, { headers: { traceparent: "00-1-2-01", a: "1" } });

  expect(seen).toEqual([["traceparent: 00-1-2-01"]]);
});

test("a nested call inherits all values of a name of the trace context", async () => {
  const seen: string[][] = [];
  const logger: Partial<LoggerHandler> = {
    log(_way, { requestHeaders }) {
      seen.push(plain(requestHeaders));
      return "";
    },
  };
  await using desk = await testDesk(metadataDesk(), { load: { offer: [[Logger, whole(logger)]] } });
  const headers = { baggage: ["a=1", "b=2"], tracestate: ["c=3", "d=4"] };

  await desk.ask(`{ "calls": ["context", "in options", "with own headers"] }`, { headers });

  const [state, baggage] = [
    ["tracestate: c=3", "tracestate: d=4"],
    ["baggage: a=1", "baggage: b=2"],
  ] as const;
  expect(seen.map((lines) => lines.toSorted())).toEqual([
    [...baggage, ...state],
    [...baggage, ...state],
    [...baggage, "own: 1", "tracestate: own"],
  ]);
});

test("a call that fails with headers that are too long still brings its trailers", async () => {
  await using desk = await testDesk(metadataDesk());
  const script = { headers: { a: valueFor(8_193) }, trailers: { t: "2" }, error: "sorry" };
  const { events, error } = await told(kinds[0]!.place, desk, script);
  expect(error?.rawMessage).toBe("sorry");
  expect(events).toContain("trailer t: 2");
});

test("a call that waits for its turn has the headers that it was placed with", async () => {
  await using desk = await testDesk(metadataDesk(), { load: { maxInFlightCalls: 1 } });
  const headers = new Metadata({ a: "placed" });

  const first = desk.ask("{}");
  const second = desk.ask("{}", { headers });
  headers.set("a", "changed");

  expect([await first, await second]).toEqual(["[]", `["a: placed"]`]);
});

test("headers that cannot travel reject the call with invalid_argument, and it is not sent", async () => {
  await using desk = await testDesk(metadataDesk());
  const before = pluginOf(desk).stats();
  const wrong = [{ "a b": "1" }, { a: "1\n" }, { "a-bin": "1" }, "a=1", [["a"]]];

  for (const headers of wrong) {
    const error = await rejection(desk.ask("{}", { headers: headers as never }));
    expect([error.code, error.origin]).toEqual(["invalid_argument", "local"]);
  }

  expect(pluginOf(desk).stats()).toEqual(before);
});

test("headers that are of no type at all reject with invalid_argument", async () => {
  await using desk = await testDesk(metadataDesk());
  await using intercepted = await testDesk(metadataDesk(), {
    load: { interceptors: [(request, next) => next(request)] },
  });
  for (const headers of [{ a: 5 }, { a: null }, { a: {} }, [1, 2], [null], new Uint8Array(2)]) {
    for (const client of [desk, intercepted]) {
      const error = await rejection(client.ask("{}", { headers: headers as never }));
      expect(error.code).toBe("invalid_argument");
    }
  }
});

test("a context's metadata is there without anybody asking for it, and empty", async () => {
  const desk = await testDesk({
    ...metadataDesk(),
    ask: (_text, { requestHeaders, responseHeaders, responseTrailers, headers }) =>
      JSON.stringify([requestHeaders, responseHeaders, responseTrailers, headers === undefined]),
  });
  expect(await desk.ask("")).toBe("[{},{},{},true]");
  expect(Desk.methods).not.toBeEmpty();
  await desk[Symbol.asyncDispose]();
});

/**
 * What was told but the messages. Headers come before all of them; trailers when the call's end
 * comes in, which may be before its reader has taken the last ones.
 */
function metadataOf(events: readonly string[]): string[] {
  expect(events[0]).toStartWith("header");
  return events.filter((event) => event !== "message");
}

function whole(logger: Partial<LoggerHandler>): LoggerHandler {
  return { log: () => "", tail: () => [], logAll: () => "", mirror: () => [], ...logger };
}

test("interceptors of a run may replace the headers of the request", async () => {
  await using desk = await testDesk(metadataDesk(), {
    run: {
      interceptors: [(request, next) => next({ ...request, headers: new Metadata({ r: "1" }) })],
    },
  });
  for (const { place } of kinds) {
    const { texts } = await told(place, desk, {}, { a: "1" });
    expect(texts[0]).toBe(`["r: 1"]`);
  }
});
