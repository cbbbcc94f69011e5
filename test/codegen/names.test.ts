import { expect, test } from "bun:test";

import type { Service } from "bun-plug/codegen-v1";

import * as names from "./gen/names_plug.ts";
import * as nested from "./gen/nested/names_plug.ts";
import { connect } from "./support/connect.ts";
import { generate } from "./support/generate.ts";

const text = "text";
const get = (given: string): string => given;

test("services that are called like other services' exports keep their names", async () => {
  const { KV, KVHandler, loadKV, runKV, testKV } = names;

  expect([KV, KVHandler, loadKV, runKV, testKV].map(({ typeName }) => typeName)).toEqual([
    "golden.names.KV",
    "golden.names.KVHandler",
    "golden.names.loadKV",
    "golden.names.runKV",
    "golden.names.testKV",
  ]);
  expect([names.loadKV$, names.runKV$, names.testKV$].map(typeOf)).toEqual([
    "function",
    "function",
    "function",
  ]);
  for (const service of [KVHandler, loadKV, runKV, testKV]) {
    expect(await connect(service, { get }).get(text)).toBe(text);
  }
});

test("services called like messages, imports and globals can be called", async () => {
  expect(await connect(names.KVSchema, { get }).get(text)).toBe(text);
  expect(await connect(names.loadService, { get }).get(text)).toBe(text);
  expect(await connect(names.string$, { get }).get(text)).toBe(text);
  expect(await connect(names.Object$, { get }).get(text)).toBe(text);
  expect(await connect(names.delete$, { delete: get }).delete(text)).toBe(text);
  expect(await connect(names._, { get }).get(text)).toBe(text);
  expect(await connect(names.Promise$, { get }).get(text)).toBe(text);

  const sum = connect(names.CallOptions, { get: (a, b) => ({ a: a + b }) });
  expect((await sum.get(1, 2, { timeoutMs: 5 })).a).toBe(3);
  const context = connect(names.CallContext, {
    get: (options$, { method }) => ({ a: method.length, b: options$?.b ?? 0 }),
  });
  expect(await context.get({ b: 1 })).toMatchObject({ a: 3, b: 1 });
  expect(await connect(names.Service, { get() {} }).get()).toBeUndefined();
  expect(await connect(names.genericCodec, { get: (load) => load }).get({})).toBeDefined();

  const method = { name: "n" };
  const shape = connect(names.MessageInitShape, { get: (given) => given });
  expect(await shape.get(method)).toMatchObject(method);
  const disposable = connect(names.AsyncDisposable$, { get: (promise) => promise });
  expect((await disposable.get({ value: "v" }))?.value).toBe("v");
  const symbol = connect(names.Symbol$, { get: (promises) => promises });
  expect((await symbol.get([{ value: "v" }])).map(({ value }) => value)).toEqual(["v"]);
  const url = connect(names.URL$, { get: (promises, more) => ({ promises, more }) });
  expect((await url.get({ k: { value: "v" } }, "m")).promises["k"]?.value).toBe("v");
  const bytes = connect(names.Uint8Array$, { get: (given) => given });
  expect(await bytes.get(new Uint8Array([1]))).toEqual(new Uint8Array([1]));
});

test("rpcs whose names differ in case or underscores are different methods", async () => {
  const client = connect(names.KV, {
    getFoo: () => "GetFoo",
    get_foo: () => "get_foo",
    gETFOO: () => "GETFOO",
    client: () => "Client",
  });

  expect([
    await client.getFoo(""),
    await client.get_foo(""),
    await client.gETFOO(""),
    await client.client(""),
  ]).toEqual(["GetFoo", "get_foo", "GETFOO", "Client"]);
});

test("rpcs with one and the same local name are told apart by $", async () => {
  const { files } = await generate({
    "kv.proto": `
      syntax = "proto3";
      message Text { string text = 1; }
      service KV {
        rpc GetFoo(Text) returns (Text);
        rpc getFoo(Text) returns (Text);
      }`,
  });

  expect(files["kv_plug.ts"]).toContain('  name: "getFoo",\n  localName: "getFoo$",\n');
  expect(files["kv_plug.ts"]).toContain("  getFoo$(text: string, options?: CallOptions)");
});

test("rpcs named like what every object has, or like reserved words, can be called", async () => {
  const { Reserved } = names;
  const localNames = Reserved.methods.map(({ localName }) => localName);
  const handler = Object.fromEntries(localNames.map((name) => [name, () => name]));
  const client = connect(Reserved as unknown as Service<Calls, object>, handler);

  for (const name of localNames) expect(await client[name]?.("")).toBe(name);
  expect(localNames.filter((name) => name.endsWith("$"))).toEqual([
    "then$",
    "constructor$",
    "toString$",
    "toJSON$",
    "valueOf$",
    "hasOwnProperty$",
    "__proto__$",
  ]);
  expect(localNames).toContain("new");
});

test("a client is not awaitable", async () => {
  const client: object = new names.Reserved.client({
    unary: () => Promise.reject(new Error("called")),
    serverStreaming: () => [] as never,
    clientStreaming: () => Promise.reject(new Error("called")),
    bidiStreaming: () => [] as never,
    close: async () => {},
  });

  expect("then" in client).toBe(false);
  expect(await client).toBe(client);
  expect(JSON.stringify(client)).toBe("{}");
});

test("arguments get a $ where their name is taken or reserved", async () => {
  const seen: unknown[] = [];
  const client = connect(names.Arguments_, {
    echoWords: (...words) => {
      seen.push(...words.slice(0, -1));
      return { await: "1" };
    },
    echoHiding(Words, wordsSchema, WordsSchema$, JsonObject, MessageInitShape, last) {
      return { Words, wordsSchema, WordsSchema: WordsSchema$, JsonObject, MessageInitShape, last };
    },
    echoOptions: (options$) => options$,
    echoContext: (context$, context) => context$ + context.method,
    echoArguments: (arguments$) => arguments$,
  });
  const words = Array.from({ length: 30 }, (_, index) => String(index));

  expect((await client.echoWords(...(words as Words))).await).toBe("1");
  expect(seen).toEqual(words);
  const hiding = await client.echoHiding(
    { then: "a" },
    {},
    { _1: "", then: "c" } as object,
    { j: 1 },
    {},
    "z",
  );
  expect(hiding.Words?.then).toBe("a");
  expect(hiding.WordsSchema?.then).toBe("c");
  expect(hiding).toMatchObject({ JsonObject: { j: 1 }, last: "z" });
  expect(await client.echoOptions("o", { timeoutMs: 1 })).toBe("o");
  expect(await client.echoContext("c")).toBe("cEchoContext");
  expect(await client.echoArguments({ case: "constructor", value: "v" })).toEqual({
    case: "constructor",
    value: "v",
  });
});

test("messages of one name from several packages are kept apart", async () => {
  const client = connect(nested.SameNames, {
    wrap: (scalars, edition) => ({ name: `${scalars?.only} ${edition?.only}` }),
    proto2: (name) => `${name}!`,
    scalars: (only) => BigInt(only),
    everything: (reqText) => ({ required: reqText }),
  });

  expect((await client.wrap({ only: "s" }, { only: 5n }))?.name).toBe("s 5");
  expect(await client.proto2("n")).toBe("n!");
  expect(await client.scalars("5")).toBe(5n);
  expect(await connect(nested.Text, { codec: get }).codec(text)).toBe(text);
});

function typeOf(value: unknown): string {
  return typeof value;
}

type Calls = Record<string, (text: string) => Promise<string>>;
type Words = Parameters<names.Arguments_["echoWords"]>;
