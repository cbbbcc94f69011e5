import { describe, expect, expectTypeOf, test } from "bun:test";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { CallContext, MessageSource } from "bun-plug/codegen-v1";

import {
  AsyncIterableSchema,
  BidiStreamingMethodSchema,
  type Number as NumberMessage,
  type NumberSchema,
  type Total,
} from "./gen/streams_pb.ts";
import {
  ByMessages,
  Clashes,
  Unwrapped,
  type ByMessagesHandler,
  type UnwrappedHandler,
} from "./gen/streams_plug.ts";
import * as names from "./gen/streams_names_plug.ts";
import { connect } from "./support/connect.ts";

type NumberInit = MessageInitShape<typeof NumberSchema>;

function numbers(...values: readonly number[]): NumberInit[] {
  return values.map((number) => ({ number }));
}

async function valuesOf<T extends { readonly number: number }>(
  messages: AsyncIterable<T>,
): Promise<number[]> {
  return (await Array.fromAsync(messages)).map(({ number }) => number);
}

const unwrapped: UnwrappedHandler = {
  echo: (number$) => number$,
  *count(from, to = from) {
    for (let number = from; number <= to; number++) yield { number };
  },
  names: () => [{ value: "a" }, {}],
  async last(messages) {
    return (await valuesOf(messages)).at(-1) ?? 0;
  },
  async add(messages) {
    const values = await valuesOf(messages);
    return { sum: BigInt(values.reduce((sum, value) => sum + value, 0)), count: values.length };
  },
  async drain(messages) {
    await valuesOf(messages);
  },
  async *double(messages) {
    for await (const { number } of messages) yield { number: number * 2 };
  },
  join: (messages) => messages,
};

describe("calls = UNWRAPPED", () => {
  const client = connect(Unwrapped, unwrapped);

  test("unwraps the request of a server stream, and gives messages", async () => {
    expect(await valuesOf(client.count(2, 4))).toEqual([2, 3, 4]);
    expect(await valuesOf(client.count(2, undefined, { timeoutMs: 5 }))).toEqual([2]);
    expect((await Array.fromAsync(client.names())).map(({ value }) => value)).toEqual(["a", ""]);

    expectTypeOf(client.count).returns.toEqualTypeOf<AsyncIterable<NumberMessage>>();
    expectTypeOf<Parameters<UnwrappedHandler["count"]>>().toEqualTypeOf<
      [from: number, to: number | undefined, context: CallContext]
    >();
    expectTypeOf<ReturnType<UnwrappedHandler["count"]>>().toEqualTypeOf<
      MessageSource<NumberInit>
    >();
  });

  test("takes messages of a client stream, and unwraps its response", async () => {
    expect(await client.last(numbers(1, 2, 3))).toBe(3);
    expect(await client.add(numbers(1, 2, 3))).toMatchObject({ sum: 6n, count: 3 });
    expect(await client.drain(numbers())).toBeUndefined();

    expectTypeOf(client.last).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(client.add).returns.resolves.toEqualTypeOf<Total>();
    expectTypeOf(client.drain).returns.resolves.toEqualTypeOf<void>();
    expectTypeOf<Parameters<typeof client.last>[0]>().toEqualTypeOf<MessageSource<NumberInit>>();
    expectTypeOf<Parameters<UnwrappedHandler["last"]>[0]>().toEqualTypeOf<
      AsyncIterable<NumberMessage>
    >();
  });

  test("takes and gives messages of a stream both ways, also of wrapper types", async () => {
    const joined = await Array.fromAsync(client.join([{ value: "a" }, { value: "b" }]));

    expect(await valuesOf(client.double(numbers(1, 2)))).toEqual([2, 4]);
    expect(joined.map(({ value }) => value)).toEqual(["a", "b"]);
  });

  test("takes arrays, generators and async generators as streams", async () => {
    async function* later(): AsyncGenerator<NumberInit> {
      yield* numbers(5, 6);
    }

    expect(await client.last(new Set(numbers(7)))).toBe(7);
    expect(await client.last(later())).toBe(6);
    expect(await valuesOf(client.double(client.count(1, 2)))).toEqual([2, 4]);
  });
});

test("calls = MESSAGES takes the request and gives the response beside a stream, too", async () => {
  const handler: ByMessagesHandler = {
    echo: (request) => request,
    *count({ from, to = from }) {
      for (let number = from; number <= to; number++) yield { number };
    },
    async last(messages) {
      return { number: (await valuesOf(messages)).at(-1) ?? 0 };
    },
    async drain() {
      return {};
    },
    double: (messages) => messages,
  };
  const client = connect(ByMessages, handler);

  expect(await valuesOf(client.count({ from: 1, to: 2 }))).toEqual([1, 2]);
  expect((await client.last(numbers(4))).number).toBe(4);
  expect((await client.drain(numbers())).$typeName).toBe("google.protobuf.Empty");
  expect(await valuesOf(client.double(numbers(3)))).toEqual([3]);
});

test("the table says the kind of each rpc", () => {
  expect(ByMessages.methods.map(({ name, kind }) => [name, kind])).toEqual([
    ["Echo", "unary"],
    ["Count", "server_streaming"],
    ["Last", "client_streaming"],
    ["Drain", "client_streaming"],
    ["Double", "bidi_streaming"],
  ]);
});

test("messages, arguments and rpcs called like what the output uses can be called", async () => {
  const client = connect(Clashes, {
    async messages(messages) {
      return (await Array.fromAsync(messages)).flatMap((each) => each.messages);
    },
    iterable: (messages) => [{ messages }],
    source: (options$, messages) => [options$ === undefined ? { messages } : { options: options$ }],
    method: (messages) => messages,
    async *handler(messages) {
      for await (const options of messages) yield { options };
    },
    then$: (messages) => [{ messages }],
    async new(messages) {
      return (await Array.fromAsync(messages)).map((each) => each.messages).join();
    },
  });
  const text = create(AsyncIterableSchema, { messages: "text" });

  expect(await client.messages([{ messages: numbers(1, 2) }])).toMatchObject(numbers(1, 2));
  expect(await Array.fromAsync(client.iterable("text"))).toEqual([text]);
  expect(await Array.fromAsync(client.source(text, ""))).toMatchObject([{ options: text }]);
  expect(await Array.fromAsync(client.method([{ value: "v" }]))).toEqual([
    create(BidiStreamingMethodSchema, { value: "v" }),
  ]);
  expect(await Array.fromAsync(client.handler([text]))).toMatchObject([{ options: text }]);
  expect(await Array.fromAsync(client.then$(numbers(3)))).toMatchObject([{ messages: numbers(3) }]);
  expect(await client.new([{ messages: "a" }, { messages: "b" }])).toBe("a,b");
});

test("services called like what the output uses can be called", async () => {
  const echo = connect(names.AsyncIterable$, { get: (messages) => messages });
  const source = connect(names.MessageSource, { get: (messages) => messages });
  const server = connect(names.ServerStreamingMethod, { get: (text) => [{ text }] });

  expect(await Array.fromAsync(echo.get([{ text: "a" }]))).toMatchObject([{ text: "a" }]);
  expect(await Array.fromAsync(source.get([{ text: "b" }]))).toMatchObject([{ text: "b" }]);
  expect(await Array.fromAsync(server.get("c"))).toMatchObject([{ text: "c" }]);
});
