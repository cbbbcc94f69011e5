// One suite for every transport and both directions: what rpcs of each kind promise, and that
// nothing is left of them on either side.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { getEventListeners } from "node:events";

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CallOptions, type MetadataInit, PlugError, pluginOf } from "bun-plug";

import { goAvailable, goBinary } from "../support/go-peer.ts";
import { executable, leavingNothing } from "../support/plugins.ts";
import { eventually } from "../support/processes.ts";
import { rejection, thrown } from "../support/rejection.ts";
import { within } from "../support/within.ts";
import { emptyBooks } from "./fixture/books.ts";
import { loadBehaviour } from "./gen/behaviour_plug.ts";
import { TextSchema } from "./gen/behaviour_pb.ts";
import { blobs, hashes, numbersTo, stuck, watched } from "./support/sources.ts";
import { type Client, hostBooks, noticed, noticedByHost, ways } from "./support/transports.ts";

const windowBytes = 256 * 1024;
// For deadlines that pass while a handler is at work: even on a busy machine the call has reached
// it by then.
const shortMs = 200;
const ranCounts: Record<string, number> = {};

afterAll(() => {
  const counts = Object.entries(ranCounts).map(([way, count]) => `${count} ${way}`);
  console.log(`behaviour: ${counts.join(", ")}`);
});

async function numbersOf<N>(messages: AsyncIterable<{ readonly number: N }>): Promise<N[]> {
  return (await Array.fromAsync(messages)).map(({ number }) => number);
}

function upTo(last: number, factor = 1): number[] {
  return Array.from({ length: last }, (_, i) => (i + 1) * factor);
}

/** Takes what comes until the error, which must come. */
async function failing<T>(messages: AsyncIterable<T>) {
  const taken: T[] = [];
  const error = await rejection(
    (async () => {
      for await (const message of messages) taken.push(message);
    })(),
  );
  return { taken, error };
}

function iteratorOf<T>(messages: AsyncIterable<T>): AsyncIterator<T> {
  return messages[Symbol.asyncIterator]();
}

describe.each(ways)("over $transport, $direction,", ({ transport, direction, hopCount, open }) => {
  let shared: Client;

  beforeAll(async () => {
    shared = await open();
  });

  afterAll(() => shared[Symbol.asyncDispose]());

  /** A case on the plugin that all share: nothing is left of it, and the plugin goes on. */
  function promise(title: string, body: (client: Client) => Promise<void>): void {
    test(title, async () => {
      await shared.events();
      await within(4_000, body(shared));
      await settles(shared);
      expect(await shared.echo(title)).toBe(title);
      ran();
    });
  }

  function ran(): void {
    const way = `over ${transport} ${direction}`;
    ranCounts[way] = (ranCounts[way] ?? 0) + 1;
  }

  /** Nothing is left of any call, on either side. */
  async function settles(client: Client): Promise<void> {
    const books = hostBooks(client);
    const until = performance.now() + 2_000;
    let ofPlugin: unknown;
    do {
      const { $typeName: _, ...read } = await client.pluginBooks();
      ofPlugin = read;
      if (Bun.deepEquals([books(), ofPlugin], [emptyBooks, emptyBooks])) break;
      await Bun.sleep(2);
    } while (performance.now() < until);
    expect({ host: books(), plugin: ofPlugin }).toEqual({ host: emptyBooks, plugin: emptyBooks });
  }

  describe("a unary call", () => {
    promise("gives what the handler returns", async (client) => {
      expect(await client.echo("text")).toBe("text");
      const [blob] = blobs(300_000);
      const data = await client.echoBlob(blob?.data as Uint8Array);
      expect(hashes([{ data: data as Uint8Array<ArrayBuffer> }])).toEqual(hashes(blobs(300_000)));
    });

    promise("rejects with what the handler throws", async (client) => {
      const error = await rejection(client.fail("not_found: no such thing"));

      expect([error.code, error.rawMessage, error.origin]).toEqual([
        "not_found",
        "no such thing",
        "peer",
      ]);
    });

    promise("rejects with the typed details of what the handler throws", async (client) => {
      const { details } = await rejection(client.fail("not_found: no such thing"));

      expect(details.map((detail) => anyUnpack(detail, TextSchema)?.text)).toEqual([
        "not_found: no such thing",
      ]);
    });

    promise(
      "rejects with deadline_exceeded after timeoutMs, and the handler hears",
      async (client) => {
        const error = await rejection(client.sleep(60_000n, { timeoutMs: shortMs }));

        expect(error.code).toBe("deadline_exceeded");
        expect(await noticed(client, 1)).toEqual(["sleep aborted"]);
      },
    );
  });

  describe("a stream of", () => {
    for (const count of [0, 1, 2, 10_000]) {
      promise(
        `${count} elements arrives whole and in order, in either direction`,
        async (client) => {
          const sum = (BigInt(count) * BigInt(count + 1)) / 2n;

          expect(await numbersOf(client.count(1, count, 0, 0))).toEqual(upTo(count));
          expect(await client.sum(numbersTo(count))).toBe(sum);
          expect(await numbersOf(client.double(numbersTo(count)))).toEqual(
            upTo(count, 2).map(BigInt),
          );
        },
      );
    }

    promise("elements of 0 bytes arrives whole", async (client) => {
      const empty = blobs(...new Array<number>(3_000).fill(0));

      expect(await Array.fromAsync(client.echoBlobs(empty))).toHaveLength(3_000);
    });

    promise("elements at the edges of a frame arrives whole", async (client) => {
      const sizes = [65_527, 65_528, 65_531, 65_532, 65_533, 65_536, 65_537, 131_063, 131_072];
      const sent = blobs(...sizes, 0, 1);

      expect(hashes(await Array.fromAsync(client.echoBlobs(sent)))).toEqual(hashes(sent));
    });

    promise("elements of more than the window arrives whole", async (client) => {
      const sent = blobs(windowBytes - 12, windowBytes + 1, 3_000_000, 5, 1_000_000);

      expect(hashes(await Array.fromAsync(client.echoBlobs(sent)))).toEqual(hashes(sent));
    });

    promise("large elements from a handler arrives whole", async (client) => {
      const taken = await Array.fromAsync(client.count(1, 5, 700_000, 0));

      expect(taken.map(({ padding }) => padding.byteLength)).toEqual(new Array(5).fill(700_000));
      expect(taken.every(({ padding }) => padding.every((byte) => byte === 7))).toBe(true);
    });
  });

  test("an element may have maxMessageBytes, and one byte more is resource_exhausted", async () => {
    const maxMessageBytes = 100_000;
    await using client = await open({ load: { maxMessageBytes } });
    // What a blob of this size and the padding of an element take beside their bytes.
    const [most, tooMuch] = [maxMessageBytes - 4, maxMessageBytes - 3];
    const [mostPadding, tooMuchPadding] = [maxMessageBytes - 6, maxMessageBytes - 5];

    const fits = await Array.fromAsync(client.echoBlobs(blobs(10, most, 10)));
    const ofCaller = await failing(client.echoBlobs(blobs(10, tooMuch, 10)));
    const padded = await Array.fromAsync(client.count(1, 1, mostPadding, 0));
    const ofHandler = await failing(client.count(1, 1, tooMuchPadding, 0));

    expect(fits.map(({ data }) => data.byteLength)).toEqual([10, most, 10]);
    expect(padded.map(({ padding }) => padding.byteLength)).toEqual([mostPadding]);
    expect([ofCaller.error.code, ofCaller.error.origin]).toEqual(["resource_exhausted", "local"]);
    expect([ofHandler.error.code, ofHandler.error.origin]).toEqual(["resource_exhausted", "peer"]);
    for (const { error } of [ofCaller, ofHandler]) {
      expect(error.message).toContain("has 100001 bytes, more than maxMessageBytes 100000");
    }
    await settles(client);
    expect(await client.echo("goes on")).toBe("goes on");
    ran();
  });

  promise("200 streams at once, with unary calls in between, do not mix", async (client) => {
    const kinds: readonly ((i: number) => Promise<unknown>)[] = [
      (i) => numbersOf(client.count(i, i + 60, 50, 0)),
      (i) => client.sum(numbersTo(i)),
      (i) => numbersOf(client.double(numbersTo(i))),
      async (i) => hashes(await Array.fromAsync(client.echoBlobs(blobs(i, 70_000 + i)))),
    ];
    const expected: readonly ((i: number) => unknown)[] = [
      (i) => Array.from({ length: 61 }, (_, j) => i + j),
      (i) => (BigInt(i) * BigInt(i + 1)) / 2n,
      (i) => upTo(i, 2).map(BigInt),
      (i) => hashes(blobs(i, 70_000 + i)),
    ];
    const indices = upTo(200);

    const [results, texts] = await Promise.all([
      Promise.all(indices.map((i) => kinds[i % kinds.length]?.(i))),
      Promise.all(indices.map((i) => client.echo(`${i}`))),
    ]);

    expect(results).toEqual(indices.map((i) => expected[i % expected.length]?.(i)));
    expect(texts).toEqual(indices.map(String));
  });

  describe("a consumer that", () => {
    promise(
      "leaves by break stops the handler, whose finally runs and whose signal aborts",
      async (client) => {
        const taken: number[] = [];
        for await (const { number } of client.count(1, 1_000_000, 100, 0)) {
          taken.push(number);
          if (number === 3) break;
        }

        const [aborted, left] = await noticed(client, 2);

        expect(taken).toEqual([1, 2, 3]);
        expect(aborted).toBe("count aborted");
        expect(left).toMatch(/^count left at \d+$/);
      },
    );

    promise("throws stops the handler, and gets its own error", async (client) => {
      const own = new Error("own");
      const loop = (async () => {
        for await (const _ of client.count(1, 1_000_000, 100, 0)) throw own;
      })();

      expect(await loop.catch((error: unknown) => error)).toBe(own);
      expect(await noticed(client, 2)).toHaveLength(2);
    });

    promise(
      "calls return() while next() waits ends both, and stops the handler",
      async (client) => {
        const iterator = iteratorOf(client.count(1, 10, 0, 250));
        await iterator.next();
        const waiting = iterator.next();

        const left = await iterator.return?.();

        expect(left).toEqual({ done: true, value: undefined });
        expect(await waiting).toEqual({ done: true, value: undefined });
        expect(await iterator.next()).toEqual({ done: true, value: undefined });
        // It was at work, and hears of it at its next element.
        expect(await noticed(client, 2)).toEqual(["count aborted", "count left at 2"]);
      },
    );

    promise("leaves a stream both ways stops the handler and its own source", async (client) => {
      const source = watched((i) => ({ number: BigInt(i) }));
      for await (const { number } of client.double(source.messages)) if (number === 6n) break;

      await eventually("the source is left", () => source.isLeft);
      expect(await noticed(client, 2)).toEqual(["double aborted", "double left"]);
    });

    promise("asks for more than there is at once gets each element once", async (client) => {
      const iterator = iteratorOf(client.count(1, 3, 0, 1));

      const results = await Promise.all(upTo(5).map(() => iterator.next()));

      expect(results.map(({ value }) => (value as { number: number } | undefined)?.number)).toEqual(
        [1, 2, 3, undefined, undefined],
      );
    });
  });

  describe("a source that", () => {
    promise("throws ends the call with cancelled, its text and its cause", async (client) => {
      const own = new Error("no more numbers");
      const source = watched((i) => {
        if (i === 5) throw own;
        return { number: BigInt(i) };
      });

      const error = await rejection(client.sum(source.messages));

      expect([error.code, error.cause]).toEqual(["cancelled", own]);
      expect(error.message).toContain("behaviour.Behaviour.Sum broke off: no more numbers");
      expect(await noticed(client, 2)).toEqual(["sum aborted", "sum left"]);
    });

    promise("throws a PlugError ends the call with that", async (client) => {
      const own = new PlugError("data_loss", "torn");
      const source = watched(() => {
        throw own;
      });

      expect(await rejection(client.sum(source.messages))).toBe(own);
      // What the handler notices is not left to the next case.
      expect(await noticed(client, 2)).toEqual(["sum aborted", "sum left"]);
    });

    promise("throws in a stream both ways ends the other half, too", async (client) => {
      const source = watched((i) => {
        if (i === 3) throw new Error("no more");
        return { number: BigInt(i) };
      }, 5);

      const { error } = await failing(client.double(source.messages));

      expect(error.code).toBe("cancelled");
      expect(await noticed(client, 2)).toEqual(["double aborted", "double left"]);
    });

    promise("gives what is no message ends the call with invalid_argument", async (client) => {
      const error = await rejection(client.sum([{ number: 1n }, { number: "one" as never }]));

      expect(error.code).toBe("invalid_argument");
      // What the handler notices is not left to the next case.
      expect(await noticed(client, 2)).toEqual(["sum aborted", "sum left"]);
    });

    promise("is not iterable is refused with invalid_argument", async (client) => {
      const error = await rejection(client.sum({ number: 1n } as never));

      expect(error.message).toStartWith("[invalid_argument] messages must be iterable");
      // What the handler notices is not left to the next case.
      expect(await noticed(client, 2)).toEqual(["sum aborted", "sum left"]);
    });

    promise(
      "is not wanted to its end is left: its finally runs, and the call has its answer",
      async (client) => {
        const source = watched((i) => ({ number: BigInt(i + 7) }));
        const waiting = watched((i) => ({ number: BigInt(i + 7) }), 5);

        expect(await client.first(source.messages)).toBe(7n);
        expect(await client.first(waiting.messages)).toBe(7n);
        expect(await client.first(stuck({ number: 8n }))).toBe(8n);
        await eventually("the sources are left", () => source.isLeft && waiting.isLeft);
        // The handler was not given up, so its signal has nothing to say. An earlier case may still.
        const events = (await client.events()).split(", ");
        expect(events.filter((event) => event.startsWith("first"))).toEqual([]);
      },
    );

    promise("may be an array, a set, or a generator of either kind", async (client) => {
      const two = [{ number: 1n }, { number: 2n }];

      expect(await client.sum(two)).toBe(3n);
      expect(await client.sum(new Set(two))).toBe(3n);
      expect(await client.sum(numbersTo(2))).toBe(3n);
      expect(await numbersOf(client.double(two))).toEqual([2n, 4n]);
      expect(await client.sum(client.double(client.double(two)))).toBe(12n);
    });

    promise("waits is not waited for when the handler fails", async (client) => {
      const error = await rejection(client.first([]));

      expect([error.code, error.rawMessage]).toEqual(["invalid_argument", "there was no number"]);
    });
  });

  promise(
    "a handler that fails in the middle delivers what came before, and then its error",
    async (client) => {
      const { taken, error } = await failing(client.break(1, 500, 10, 0));

      expect(taken.map(({ number }) => number)).toEqual(upTo(500));
      expect([error.code, error.rawMessage, error.origin]).toEqual([
        "aborted",
        "broke off behind 500",
        "peer",
      ]);
    },
  );

  promise("a handler's error waits behind elements that nobody has taken yet", async (client) => {
    const iterator = iteratorOf(client.break(1, 2, 0, 0));
    await iterator.next();
    await eventually("the error has come", () => hostBooks(client)().outgoingCount === 0);

    expect((await iterator.next()).value).toMatchObject({ number: 2 });
    expect((await rejection(iterator.next())).code).toBe("aborted");
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  describe("a stream with a signal", () => {
    const aborted = AbortSignal.abort(new Error("changed my mind"));

    promise(
      "that has aborted already is not placed, and takes nothing of its source",
      async (client) => {
        const before = pluginOf(client).stats().writeCount;
        const source = watched((i) => ({ number: BigInt(i) }));

        const errors = [
          (await failing(client.count(1, 2, 0, 0, { signal: aborted }))).error,
          (await failing(client.double(source.messages, { signal: aborted }))).error,
          await rejection(client.sum(source.messages, { signal: aborted })),
        ];

        expect(errors.map(({ code }) => code)).toEqual(["cancelled", "cancelled", "cancelled"]);
        expect(source.madeCount).toBe(0);
        expect(pluginOf(client).stats().writeCount).toBe(before);
      },
    );

    promise(
      "that aborts in the middle ends at the next step, and tells the handler",
      async (client) => {
        const controller = new AbortController();
        const { signal } = controller;
        const taken: number[] = [];
        const loop = (async () => {
          for await (const { number } of client.count(1, 1_000_000, 100, 0, { signal })) {
            taken.push(number);
            if (number === 3) controller.abort();
          }
        })();

        expect((await rejection(loop)).code).toBe("cancelled");
        expect(taken).toEqual([1, 2, 3]);
        expect(getEventListeners(signal, "abort")).toEqual([]);
        expect(await noticed(client, 2)).toHaveLength(2);
      },
    );

    promise(
      "that aborts while a source is at work rejects, and leaves the source",
      async (client) => {
        const controller = new AbortController();
        const { signal } = controller;
        const source = watched((i) => ({ number: BigInt(i) }), 2);
        const sum = client.sum(source.messages, { signal });
        const stuckSum = client.sum(stuck({ number: 1n }), { signal });
        await eventually("numbers go", () => source.madeCount > 3);

        controller.abort();

        expect((await rejection(sum)).code).toBe("cancelled");
        expect((await rejection(stuckSum)).code).toBe("cancelled");
        await eventually("the source is left", () => source.isLeft);
        expect(await noticed(client, 4)).toEqual([
          "sum aborted",
          "sum aborted",
          "sum left",
          "sum left",
        ]);
      },
    );

    promise("that aborts when it is through is not touched by it", async (client) => {
      const controller = new AbortController();
      const { signal } = controller;

      const taken = await numbersOf(client.double(numbersTo(3), { signal }));
      const listeners = getEventListeners(signal, "abort");
      controller.abort();

      expect(taken).toEqual([2n, 4n, 6n]);
      expect(listeners).toEqual([]);
      expect(await client.events()).toBe("double left");
    });
  });

  describe("a stream with timeoutMs", () => {
    promise(
      "ends with deadline_exceeded when that has passed, and tells the handler",
      async (client) => {
        const { taken, error } = await failing(
          client.count(1, 10, 0, 2 * shortMs, { timeoutMs: shortMs }),
        );

        expect(error.code).toBe("deadline_exceeded");
        expect(taken.map(({ number }) => number)).toEqual([1]);
        // It was at work, and hears of it at its next element.
        expect(await noticed(client, 2)).toEqual(["count aborted", "count left at 2"]);
      },
    );

    promise("counts for the whole of a client stream, whatever its source does", async (client) => {
      const error = await rejection(client.sum(stuck({ number: 1n }), { timeoutMs: shortMs }));

      expect(error.code).toBe("deadline_exceeded");
      expect(await noticed(client, 2)).toEqual(["sum aborted", "sum left"]);
    });

    promise("ends also if elements keep coming without an end", async (client) => {
      const { taken, error } = await failing(
        client.count(1, 1_000_000_000, 1_000, 0, { timeoutMs: shortMs }),
      );

      expect(error.code).toBe("deadline_exceeded");
      expect(taken.length).toBeGreaterThan(0);
      expect(await noticed(client, 2)).toHaveLength(2);
    });

    promise("that is enough does nothing", async (client) => {
      const taken = await numbersOf(client.count(1, 3, 0, 0, { timeoutMs: 60_000 }));

      expect(taken).toEqual([1, 2, 3]);
    });
  });

  describe("metadata", () => {
    const initial = {
      "initial-text": "Grüße",
      "initial-list": ["b", "a", "b"],
      "initial-bytes-bin": new Uint8Array([0, 255, 10, 13]),
      "initial-empty-bin": new Uint8Array(0),
    };
    const trailing = {
      "trailing-text": "the end",
      "trailing-bytes-bin": new Uint8Array([13, 10, 255, 0]),
    };
    const headers = { ...initial, ...trailing };

    /** Options of a call, and what is told by them and noted, in order. */
    function told(sent: MetadataInit | undefined = headers) {
      const log: unknown[] = [];
      const options: CallOptions = {
        headers: sent,
        onHeader: (metadata) => log.push({ headers: metadata.toJSON() }),
        onTrailer: (metadata) => log.push({ trailers: metadata.toJSON() }),
      };
      return { log, options };
    }

    // What each kind of rpc is asked, and what it gives.
    const kinds: readonly (readonly [
      kind: string,
      call: (client: Client, options: CallOptions) => Promise<unknown>,
      result: unknown,
    ])[] = [
      ["a unary call", (client, options) => client.echo("text", options), "text"],
      [
        "a server stream",
        (client, options) => numbersOf(client.count(1, 3, 0, 0, options)),
        [1, 2, 3],
      ],
      ["a client stream", (client, options) => client.sum(numbersTo(3), options), 6n],
      [
        "a stream both ways",
        (client, options) => numbersOf(client.double(numbersTo(2), options)),
        [2n, 4n],
      ],
    ];

    for (const [kind, call, result] of kinds) {
      promise(
        `of ${kind} goes there as headers, and comes back as headers and trailers`,
        async (client) => {
          const { log, options } = told();

          log.push({ result: await call(client, options) });

          expect(log).toEqual([{ headers: initial }, { trailers: trailing }, { result }]);
        },
      );
    }

    promise("is told before the first element", async (client) => {
      const { log, options } = told();

      const iterator = iteratorOf(client.count(1, 1_000_000, 100, 0, options));
      await iterator.next();
      const before = [...log];
      await iterator.return?.();

      expect(before).toEqual([{ headers: initial }]);
      // Whoever leaves does not wait for the end.
      expect(log).toEqual(before);
    });

    promise("that a handler does not send is told as empty", async (client) => {
      const { log, options } = told({});

      await client.echo("text", options);
      await numbersOf(client.count(1, 2, 0, 0, options));

      const empty = [{ headers: {} }, { trailers: {} }];
      expect(log).toEqual([...empty, ...empty]);
    });

    promise("comes with the handler's error, too", async (client) => {
      const unary = told();
      const stream = told();

      const error = await rejection(client.fail("aborted: no", unary.options));
      const { taken, error: broken } = await failing(client.break(1, 3, 0, 0, stream.options));

      expect([error.code, broken.code, taken.length]).toEqual(["aborted", "aborted", 3]);
      for (const { log } of [unary, stream]) {
        expect(log).toEqual([{ headers: initial }, { trailers: trailing }]);
      }
    });

    promise("that cannot travel is refused before anything is sent", async (client) => {
      const before = pluginOf(client).stats().writeCount;
      const errors = [
        await rejection(client.echo("text", { headers: { "two words": "x" } })),
        await rejection(client.echo("text", { headers: { lines: "one\ntwo" } })),
        await rejection(client.echo("text", { headers: { "text-bin": "text" } })),
        await rejection(client.echo("text", { headers: { long: "x".repeat(8 * 1024) } })),
        (await failing(client.count(1, 2, 0, 0, { headers: { "two words": "x" } }))).error,
        await rejection(client.sum(numbersTo(2), { headers: { "two words": "x" } })),
      ];

      expect(errors.map(({ code }) => code)).toEqual([
        "invalid_argument",
        "invalid_argument",
        "invalid_argument",
        "resource_exhausted",
        "invalid_argument",
        "invalid_argument",
      ]);
      expect(pluginOf(client).stats().writeCount).toBe(before);
    });

    promise(
      "whose callback throws ends the call with that, and the handler hears",
      async (client) => {
        const own = new PlugError("data_loss", "own");
        const options: CallOptions = {
          headers,
          onHeader() {
            throw own;
          },
        };

        expect(await rejection(client.echo("text", options))).toBe(own);
        expect((await failing(client.count(1, 1_000_000, 100, 0, options))).error).toBe(own);
        expect(await noticed(client, 2)).toHaveLength(2);
      },
    );
  });

  describe("a call that a handler makes for its own", () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    promise("inherits its deadline and its trace context", async (client) => {
      const { leftMs, traceparent: inherited } = await client.nest(0n, {
        timeoutMs: 60_000,
        headers: { traceparent },
      });

      expect(leftMs).toBeGreaterThan(50_000);
      expect(leftMs).toBeLessThanOrEqual(60_000);
      expect(inherited).toBe(traceparent);
    });

    promise("has neither where there is none", async (client) => {
      const { leftMs, traceparent: inherited } = await client.nest(0n);

      expect([leftMs, inherited]).toEqual([undefined, ""]);
    });

    promise("is given up when the deadline passes", async (client) => {
      const error = await rejection(client.nest(60_000n, { timeoutMs: shortMs }));

      expect(error.code).toBe("deadline_exceeded");
      expect(await noticedByHost(client, 1)).toEqual(["sleep aborted"]);
    });

    promise("is given up when that is cancelled", async (client) => {
      const controller = new AbortController();
      const call = client.nest(60_000n, { signal: controller.signal });
      const books = hostBooks(client);
      await eventually("the host is asked", () => books().incomingCount === 1);

      controller.abort();

      expect((await rejection(call)).code).toBe("cancelled");
      expect(await noticedByHost(client, 1)).toEqual(["sleep aborted"]);
    });
  });

  promise("a stream that nobody iterates places no call", async (client) => {
    const before = pluginOf(client).stats();
    const source = watched((i) => ({ number: BigInt(i) }));
    client.count(1, 2, 0, 0);
    client.double(source.messages);
    await Bun.sleep(5);

    expect(pluginOf(client).stats()).toEqual(before);
    expect(source.madeCount).toBe(0);
  });

  promise(
    "a stream can be iterated once, and a second time is failed_precondition",
    async (client) => {
      const stream = client.count(1, 3, 0, 0);

      expect(await numbersOf(stream)).toEqual([1, 2, 3]);
      expect(thrown(() => iteratorOf(stream)).code).toBe("failed_precondition");
    },
  );

  describe("a slow reader bounds", () => {
    const elementBytes = 1_000;
    const mostAhead = Math.ceil(windowBytes / elementBytes) + 1;

    promise("what a handler makes", async (client) => {
      const books = hostBooks(client);
      const iterator = iteratorOf(client.count(1, 1_000_000, elementBytes, 0));
      await iterator.next();
      await eventually("the windows are full", () => {
        const { sentBytes, receivedBytes } = books();
        return receivedBytes >= windowBytes && sentBytes >= (hopCount - 1) * windowBytes;
      });
      const received = books().receivedBytes;
      await iterator.return?.();
      const left = (await noticed(client, 2)).find((event) => event.startsWith("count left")) ?? "";

      expect(received).toBeLessThan(windowBytes + 2 * elementBytes);
      // A window for each connection, and the one that whoever is in between holds.
      expect(Number(left.match(/\d+/)?.[0])).toBeLessThanOrEqual(hopCount * (mostAhead + 1) - 1);
    });

    promise("what a source of the caller makes", async (client) => {
      const books = hostBooks(client);
      const source = watched(() => ({ data: new Uint8Array(elementBytes) }));
      const iterator = iteratorOf(client.echoBlobs(source.messages));
      await iterator.next();
      await eventually("all windows are full", () => {
        const { sentBytes, receivedBytes } = books();
        return Math.min(sentBytes, receivedBytes) >= hopCount * windowBytes;
      });
      const { madeCount } = source;
      await iterator.return?.();

      // What the handler has sent back, what it has not read, and the one that it holds; and the
      // same of whoever is in between.
      expect(madeCount).toBeLessThanOrEqual(2 * hopCount * (mostAhead + 1) - 1);
      await eventually("the source is left", () => source.isLeft);
    });
  });

  describe("with the smallest windows,", () => {
    const windows = { streamWindowBytes: 1024, connectionWindowBytes: 1024 };

    test("64 streams that nobody reads stop neither unary calls nor other streams", async () => {
      await using client = await open({ load: windows, run: windows });
      const iterators = [
        ...Array.from({ length: 32 }, () => iteratorOf(client.count(1, 1_000_000, 700, 0))),
        ...Array.from({ length: 32 }, () =>
          iteratorOf(client.double(watched((i) => ({ number: BigInt(i) })).messages)),
        ),
      ];
      await Promise.all(iterators.map((iterator) => iterator.next()));
      const books = hostBooks(client);
      await eventually("the window is used up", () => books().receivedBytes >= 1024);

      const [text, sum, taken, doubled, sent] = await within(
        4_000,
        Promise.all([
          client.echo("through"),
          client.sum(numbersTo(200)),
          numbersOf(client.count(1, 40, 300, 0)),
          numbersOf(client.double(numbersTo(40))),
          Array.fromAsync(client.echoBlobs(blobs(5, 100_000, 2_000))),
        ]),
      );
      await Promise.all(iterators.map((iterator) => iterator.return?.()));

      expect([text, sum]).toEqual(["through", 20_100n]);
      expect(taken).toEqual(upTo(40));
      expect(doubled).toEqual(upTo(40, 2).map(BigInt));
      expect(hashes(sent)).toEqual(hashes(blobs(5, 100_000, 2_000)));
      await settles(client);
      ran();
    });

    test("streams that are read again go on where they stood", async () => {
      await using client = await open({ load: windows, run: windows });
      const iterators = Array.from({ length: 20 }, () => client.count(1, 30, 200, 0)).map(
        iteratorOf,
      );
      await Promise.all(iterators.map((iterator) => iterator.next()));

      const rests = await within(
        4_000,
        Promise.all(
          iterators.map((iterator) =>
            numbersOf({ [Symbol.asyncIterator]: () => iterator as never }),
          ),
        ),
      );

      expect(rests).toEqual(new Array(20).fill(upTo(30).slice(1)));
      await settles(client);
      ran();
    });

    // In either direction it is the host's streams that wait: nested calls never do.
    test("a stream beyond maxInFlightStreams waits for its turn, and can be left meanwhile", async () => {
      await using client = await open({ load: { ...windows, maxInFlightStreams: 2 } });
      const first = [1, 2].map(() => iteratorOf(client.count(1, 1_000_000, 700, 0)));
      await Promise.all(first.map((iterator) => iterator.next()));

      const source = watched((i) => ({ number: BigInt(i) }));
      const waiting = client.sum(numbersTo(10));
      const left = iteratorOf(client.double(source.messages));
      const pending = left.next();
      const late = await rejection(client.sum(numbersTo(3), { timeoutMs: 20 }));
      await left.return?.();
      await Promise.all(first.map((iterator) => iterator.return?.()));

      expect(await pending).toEqual({ done: true, value: undefined });
      expect(late.code).toBe("deadline_exceeded");
      expect(source.madeCount).toBe(0);
      expect(await within(2_000, waiting)).toBe(55n);
      await settles(client);
      ran();
    });
  });

  describe("close()", () => {
    test("lets streams come to their end, and takes no new ones", async () => {
      const client = await open();
      const iterator = iteratorOf(client.count(1, 6, 100, 4));
      const doubled = numbersOf(client.double(watchedTo(6, 4)));
      await iterator.next();

      const closed = pluginOf(client).close();
      const refused = await failing(client.count(1, 2, 0, 0));
      const rest = await numbersOf({ [Symbol.asyncIterator]: () => iterator as never });

      expect(refused.error.code).toBe("draining");
      expect(rest).toEqual(upTo(6).slice(1));
      expect(await doubled).toEqual(upTo(6, 2).map(BigInt));
      await within(3_000, closed);
      expect((await failing(client.count(1, 2, 0, 0))).error.code).toBe("unavailable");
      ran();
    });

    test("ends streams that go on after drainTimeoutMs, and their sources", async () => {
      const client = await open({ load: { drainTimeoutMs: 30 }, run: { drainTimeoutMs: 30 } });
      const books = hostBooks(client);
      const source = watched((i) => ({ number: BigInt(i) }), 1);
      const waiting = failing(client.count(1, 1_000_000, 0, 5));
      const summed = rejection(client.sum(source.messages));
      const unread = iteratorOf(client.count(1, 1_000_000, 1_000, 0));
      await unread.next();

      await within(4_000, pluginOf(client).close());

      expect((await waiting).error.code).toBe("cancelled");
      expect((await summed).code).toBe("cancelled");
      const rest = await failing({ [Symbol.asyncIterator]: () => unread });
      expect(rest.error.code).toBe("cancelled");
      await eventually("the source is left", () => source.isLeft);
      expect(books()).toEqual(emptyBooks);
      ran();
    });
  });

  // Nobody can die in memory.
  test.skipIf(transport === "memory")(
    "a plugin that is killed settles streams in every state with plugin_exited",
    async () => {
      await leavingNothing(async () => {
        const client = await open({ load: { maxInFlightStreams: 11 } });
        const books = hostBooks(client);
        const paced = watched((i) => ({ number: BigInt(i) }), 1);
        const blocked = watched(() => ({ data: new Uint8Array(50_000) }));
        const inPieces = watched(() => ({ data: new Uint8Array(5_000_000) }));
        const waitingSource = watched((i) => ({ number: BigInt(i) }));

        const unread = [
          iteratorOf(client.count(1, 1_000_000, 1_000, 0)),
          iteratorOf(client.echoBlobs(blocked.messages)),
          iteratorOf(client.echoBlobs(inPieces.messages)),
          iteratorOf(client.double(numbersTo(20))),
        ];
        await Promise.all(unread.map((iterator) => iterator.next()));
        const settling = [
          failing(client.count(1, 2, 0, 60_000)),
          failing(client.count(1, 1_000_000_000, 10, 0)),
          failing(client.double(stuck({ number: 1n }))),
          failing(client.double(paced.messages)),
          rejection(client.sum(stuck({ number: 1n }))).then((error) => ({ error })),
          rejection(client.sleep(60_000n)).then((error) => ({ error })),
        ];
        for await (const _ of client.count(1, 1_000_000, 1_000, 0)) break;
        // Beyond maxInFlightStreams: they have not been sent.
        const waiting = [1, 2, 3, 4].flatMap(() => [
          failing(client.double(waitingSource.messages)),
          rejection(client.sum(stuck({ number: 1n }))).then((error) => ({ error })),
        ]);
        await eventually("windows are full", () => books().receivedBytes >= windowBytes);

        process.kill(pluginOf(client).pid as number, "SIGKILL");

        const outcomes = await within(
          5_000,
          Promise.all([
            ...settling,
            ...waiting,
            // The one that has its answer has nothing to complain of.
            ...unread
              .slice(0, 3)
              .map((iterator) => failing({ [Symbol.asyncIterator]: () => iterator as never })),
          ]),
        );
        expect(outcomes.map(({ error }) => error.code)).toEqual(
          new Array(outcomes.length).fill("plugin_exited"),
        );
        await eventually("sources are left", () =>
          [paced, blocked, inPieces].every(({ isLeft }) => isLeft),
        );
        expect(books()).toEqual(emptyBooks);
        expect((await failing(client.count(1, 2, 0, 0))).error.code).toBe("plugin_exited");
        expect((await rejection(client.sum([]))).code).toBe("plugin_exited");
        await client[Symbol.asyncDispose]();
      });
      ran();
    },
    15_000,
  );
});

async function* watchedTo(last: number, pauseMs: number): AsyncGenerator<{ number: bigint }> {
  for (const message of numbersTo(last)) {
    yield message;
    await Bun.sleep(pauseMs);
  }
}

describe("a plugin that speaks wire 1", () => {
  const streaming = ["Count", "Break", "Sum", "First", "Double", "EchoBlobs"]
    .map((name) => `behaviour.Behaviour.${name}`)
    .join(", ");

  test("is refused at load for a service that streams, and the rpcs are named", async () => {
    // Answers as the Go original does, and then waits.
    const program = executable(
      `#!/bin/sh\nprintf '\\000\\377\\011\\010\\001\\022\\005magic'\nexec cat > /dev/null\n`,
    );

    await leavingNothing(async () => {
      const error = await rejection(loadBehaviour(program));

      expect(error.code).toBe("handshake_mismatch");
      expect(error.message).toContain(
        `the plugin speaks wire 1, as those built with the Go original do, and that has no streams: ${streaming}`,
      );
    });
  });

  test.skipIf(!goAvailable())(
    "is refused if it is built with the Go original",
    async () => {
      const error = await rejection(loadBehaviour(await goBinary("example/kv")));

      expect(error.code).toBe("handshake_mismatch");
      expect(error.message).toContain(streaming);
    },
    300_000,
  );
});
