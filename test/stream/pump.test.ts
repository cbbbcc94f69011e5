import { describe, expect, test } from "bun:test";

import { heapStats } from "bun:jsc";
import { CreditPool } from "../../src/stream/credit.ts";
import { type MessageSource, pump } from "../../src/stream/pump.ts";
import { settled } from "../support/fake-transport.ts";
import { rejection } from "../support/rejection.ts";
import { broken, newSender, type TestSender, windowBytes } from "../support/streams.ts";
import { within } from "../support/within.ts";

function pumped(source: MessageSource<number>, test: TestSender): Promise<void> {
  test.sender.open(1);
  return pump(source, test.sender, test.send);
}

/** A source that says what is asked of it. */
function recorded(values: readonly number[]) {
  const asked: string[] = [];
  let i = 0;
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        asked.push("next");
        return i < values.length
          ? { done: false, value: values[i++] as number }
          : { done: true, value: undefined };
      },
      async return() {
        asked.push("return");
        return { done: true, value: undefined };
      },
    }),
  };
  return { source, asked };
}

describe("pump", () => {
  test.each([
    ["an array", () => [1, 2, 3]],
    ["a set", () => new Set([1, 2, 3])],
    [
      "a generator",
      function* () {
        yield* [1, 2, 3];
      },
    ],
    [
      "an async generator",
      async function* () {
        yield* [1, 2, 3];
      },
    ],
    ["an iterator of ours", () => recorded([1, 2, 3]).source],
  ])("sends what %s gives, in its order", async (_, make) => {
    const test = newSender();

    await pumped(make(), test);

    expect(test.sent).toEqual(["1", "2", "3"]);
  });

  test("takes promises that are not the platform's own", async () => {
    const test = newSender();
    const results = [1, 2].map((value) => ({ done: false, value }));
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => ({
          then: (resolve: (result: unknown) => void) =>
            resolve(results.shift() ?? { done: true, value: undefined }),
        }),
      }),
    };

    await pumped(source as never, test);

    expect(test.sent).toEqual(["1", "2"]);
  });

  test("asks for no more than it has credit for", async () => {
    const test = newSender();
    const { source, asked } = recorded([windowBytes - 12, 1, 1]);
    const pumping = pumped(source, test);
    await settled();
    const before = [...asked];

    test.sender.onCredit(windowBytes);
    await pumping;

    expect(before).toEqual(["next"]);
    expect(test.sent).toEqual([`${windowBytes - 12}`, "1", "1"]);
  });

  test("keeps a message while other streams use up what the connection had", async () => {
    const pool = new CreditPool(windowBytes);
    const [test, other] = [newSender({ pool }), newSender({ pool })];
    other.sender.open(2);
    const { promise, resolve } = Promise.withResolvers<void>();
    async function* source(): AsyncGenerator<number> {
      yield 1;
      await promise;
      yield 2;
    }
    const pumping = pumped(source(), test);
    await settled();
    other.send(windowBytes);
    resolve();
    await settled();
    const early = [...test.sent];

    other.sender.onCredit(windowBytes + 12);
    await pumping;

    expect(early).toEqual(["1"]);
    expect(test.sent).toEqual(["1", "2"]);
  });

  test("resolves when a message in pieces has gone out", async () => {
    const test = newSender({ maxFrameBytes: 10 });
    let isThrough = false;
    const pumping = pumped([100], test).then(() => (isThrough = true));
    await settled();
    const early = isThrough;

    test.finishPieces();
    await pumping;

    expect([early, isThrough]).toEqual([false, true]);
  });

  test("tells the source to stop when nothing may be sent any more, and waits for it", async () => {
    const test = newSender();
    const { source, asked } = recorded([windowBytes, 1]);
    const pumping = pumped(source, test);
    await settled();

    test.sender.stop(broken);
    await pumping;

    expect(asked).toEqual(["next", "return"]);
  });

  test("tells a source that is at work, and does not send what it was at", async () => {
    const test = newSender();
    const { promise, resolve } = Promise.withResolvers<void>();
    const left: string[] = [];
    async function* source(): AsyncGenerator<number> {
      try {
        yield 1;
        await promise;
        yield 2;
      } finally {
        left.push("left");
      }
    }
    const pumping = pumped(source(), test);
    await settled();
    test.sender.stop(broken);
    await settled();
    const early = [...left];

    resolve();
    await pumping;

    expect([early, left, test.sent]).toEqual([[], ["left"], ["1"]]);
  });

  test("asks nothing of a source if it is stopped before it begins", async () => {
    const test = newSender();
    const { source, asked } = recorded([1]);
    test.sender.stop(broken);

    await pumped(source, test);

    expect(asked).toEqual(["return"]);
  });

  test("rejects with what the source throws, and does not tell it to stop", async () => {
    const own = new Error("own");
    const asked: string[] = [];
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(own),
        async return() {
          asked.push("return");
          return { done: true, value: undefined };
        },
      }),
    };

    const error: unknown = await pumped(source, newSender()).catch((error: unknown) => error);

    expect(error).toBe(own);
    expect(asked).toEqual([]);
  });

  test("rejects with what cannot be sent, and tells the source, without waiting for it", async () => {
    const test = newSender();
    test.sender.open(1);
    const asked: string[] = [];
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: () => {
          asked.push("return");
          return new Promise(() => {});
        },
      }),
    };

    const error = await within(
      1_000,
      rejection(
        pump(source, test.sender, () => {
          throw broken;
        }),
      ),
    );

    expect(error).toBe(broken);
    expect(asked).toEqual(["return"]);
  });

  test("does not mind what a source throws that is told to stop", async () => {
    const test = newSender();
    const source: Iterable<number> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: windowBytes }),
        return: () => {
          throw new Error("not now");
        },
      }),
    };
    const pumping = pumped(source, test);
    await settled();

    test.sender.stop(broken);

    expect(await pumping).toBeUndefined();
  });

  test.each([undefined, null, 7, "text", {}])(
    "refuses %p with invalid_argument",
    async (source) => {
      const error = await rejection(pumped(source as never, newSender()));

      expect(error.message).toStartWith("[invalid_argument] messages must be iterable, got ");
    },
  );

  test("keeps no memory of a million messages of one stream", async () => {
    const test = newSender({ pool: new CreditPool(Infinity) });
    async function* source(count: number): AsyncGenerator<number> {
      for (let i = 0; i < count; i++) yield 0;
    }
    test.sender.open(1);
    const run = (count: number): Promise<void> =>
      pump(source(count), test.sender, (byteCount) => {
        test.send(byteCount);
        test.sender.onCredit(12);
        test.sent.length = 0;
      });
    await run(10_000);
    const before = heapBytes();
    await run(1_000_000);

    expect(heapBytes() - before).toBeLessThan(2 * 1024 * 1024);
  }, 15_000);
});

function heapBytes(): number {
  Bun.gc(true);
  return heapStats().heapSize;
}
