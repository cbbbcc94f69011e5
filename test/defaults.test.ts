// What the doc comments of the options say, word for word.

import { describe, expect, test } from "bun:test";

import type { Interceptor } from "bun-plug";

import { KV } from "../example/gen/example_plug.ts";
import { checkedLoadOptions } from "../src/host/load-options.ts";
import { checkedRunOptions } from "../src/plugin/run-options.ts";
import type { PeerOptions } from "../src/rpc/peer-options.ts";
import { thrown } from "./support/rejection.ts";

const maxSpanMs = 2 ** 31 - 1;

const undefinedPeerOptions = {
  interceptors: undefined,
  exposeStack: undefined,
  versions: undefined,
  maxReferences: undefined,
  maxInFlightStreams: undefined,
  maxNestedCalls: undefined,
  maxMetadataBytes: undefined,
};

describe("of a load,", () => {
  const defaults = checkedLoadOptions({});

  test("startTimeoutMs defaults to 10,000", () => {
    expect(defaults.startTimeoutMs).toBe(10_000);
  });

  test("drainTimeoutMs defaults to 5,000", () => {
    expect(defaults.drainTimeoutMs).toBe(5_000);
  });

  test("stopTimeoutMs defaults to 2,000", () => {
    expect(defaults.stopTimeoutMs).toBe(2_000);
  });

  test("maxMessageBytes defaults to 64 MiB, and maxInFlightCalls to 16,384", () => {
    const { maxMessageBytes, maxInFlightCalls } = defaults.limits;

    expect({ maxMessageBytes, maxInFlightCalls }).toEqual({
      maxMessageBytes: 67_108_864,
      maxInFlightCalls: 16_384,
    });
  });

  test("maxInFlightStreams defaults to 4,096, maxNestedCalls to 16,384, maxMetadataBytes to 8 KiB", () => {
    const { maxInFlightStreams, maxNestedCalls, maxMetadataBytes } = defaults.limits;

    expect({ maxInFlightStreams, maxNestedCalls, maxMetadataBytes }).toEqual({
      maxInFlightStreams: 4_096,
      maxNestedCalls: 16_384,
      maxMetadataBytes: 8_192,
    });
  });

  test("maxReferences defaults to 65,536, exposeStack to false, interceptors and versions to none", () => {
    const { maxReferences, exposeStack, interceptors, versions } = defaults;

    expect({ maxReferences, exposeStack, interceptors, versions }).toEqual({
      maxReferences: 65_536,
      exposeStack: false,
      interceptors: [],
      versions: undefined,
    });
  });

  test("streamWindowBytes defaults to 256 KiB, and connectionWindowBytes to 16 MiB", () => {
    const { streamWindowBytes, connectionWindowBytes } = defaults.limits;

    expect({ streamWindowBytes, connectionWindowBytes }).toEqual({
      streamWindowBytes: 262_144,
      connectionWindowBytes: 16_777_216,
    });
  });

  test("args and offer default to none, env to nothing, inheritEnv to false, the rest to undefined", () => {
    const { args, offer, env, inheritEnv, cwd, signal, transport } = defaults;

    expect({ args, offer, env, inheritEnv, cwd, signal, transport }).toEqual({
      args: [],
      offer: [],
      env: {},
      inheritEnv: false,
      cwd: undefined,
      signal: undefined,
      transport: undefined,
    });
  });

  test("an option that is undefined is one that is not given", () => {
    const options = checkedLoadOptions({
      startTimeoutMs: undefined,
      stopTimeoutMs: undefined,
      maxInFlightCalls: undefined,
      inheritEnv: undefined,
      ...undefinedPeerOptions,
      offer: undefined,
    });

    expect(options).toEqual({ ...defaults, logger: options.logger });
  });

  test.each([
    ["startTimeoutMs", 1],
    ["drainTimeoutMs", 0],
    ["stopTimeoutMs", 0],
  ] as const)("%s is valid from %d to 2^31 - 1", (name, least) => {
    const taken = [least, maxSpanMs].map((value) => checkedLoadOptions({ [name]: value })[name]);
    const refused = [least - 1, maxSpanMs + 1, NaN, "1" as never].map((value) =>
      thrown(() => checkedLoadOptions({ [name]: value })),
    );

    expect(taken).toEqual([least, maxSpanMs]);
    expect(refused.map(({ message }) => message)).toEqual(
      [least - 1, maxSpanMs + 1, NaN, "1"].map(
        (value) =>
          `[invalid_argument] ${name} must be a number from ${least} to 2^31 - 1, got ${value}`,
      ),
    );
  });

  test("transport is ring, socket, stdio or the best", () => {
    for (const transport of ["ring", "socket", "stdio"] as const) {
      expect(checkedLoadOptions({ transport }).transport).toBe(transport);
    }
    expect(checkedLoadOptions({}).transport).toBeUndefined();
    expect(thrown(() => checkedLoadOptions({ transport: "memory" as never })).code).toBe(
      "invalid_argument",
    );
  });

  test("poll defaults to true", () => {
    expect(checkedLoadOptions({}).poll).toBe(true);
    expect(checkedLoadOptions({ poll: false }).poll).toBe(false);
    expect(thrown(() => checkedLoadOptions({ poll: 1 as never })).message).toContain(
      "poll must be true or false, got 1",
    );
  });

  test("logger: false drops the lines", () => {
    const { logger } = checkedLoadOptions({ logger: false });

    expect(logger({ plugin: "kv", stream: "stderr", text: "x" })).toBeUndefined();
  });
});

describe("of a run,", () => {
  const defaults = checkedRunOptions({});

  test("maxRunningHandlers defaults to 16,384", () => {
    expect(defaults.maxRunningHandlers).toBe(16_384);
  });

  test("drainTimeoutMs defaults to 5,000, and poll to true", () => {
    expect(defaults.drainTimeoutMs).toBe(5_000);
    expect(defaults.poll).toBe(true);
    expect(checkedRunOptions({ poll: false }).poll).toBe(false);
  });

  test("maxMessageBytes defaults to 64 MiB, and maxInFlightCalls to 16,384", () => {
    const { maxMessageBytes, maxInFlightCalls } = defaults.limits;

    expect({ maxMessageBytes, maxInFlightCalls }).toEqual({
      maxMessageBytes: 67_108_864,
      maxInFlightCalls: 16_384,
    });
  });

  test("maxInFlightStreams defaults to 4,096, maxNestedCalls to 16,384, maxMetadataBytes to 8 KiB", () => {
    const { maxInFlightStreams, maxNestedCalls, maxMetadataBytes } = defaults.limits;

    expect({ maxInFlightStreams, maxNestedCalls, maxMetadataBytes }).toEqual({
      maxInFlightStreams: 4_096,
      maxNestedCalls: 16_384,
      maxMetadataBytes: 8_192,
    });
  });

  test("maxReferences defaults to 65,536, exposeStack to false, interceptors and versions to none", () => {
    const { maxReferences, exposeStack, interceptors, versions } = defaults;

    expect({ maxReferences, exposeStack, interceptors, versions }).toEqual({
      maxReferences: 65_536,
      exposeStack: false,
      interceptors: [],
      versions: undefined,
    });
  });

  test("streamWindowBytes defaults to 256 KiB, and connectionWindowBytes to 16 MiB", () => {
    const { streamWindowBytes, connectionWindowBytes } = defaults.limits;

    expect({ streamWindowBytes, connectionWindowBytes }).toEqual({
      streamWindowBytes: 262_144,
      connectionWindowBytes: 16_777_216,
    });
  });

  test("maxRunningHandlers is valid from 1 to 1,048,576", () => {
    const taken = [1, 2 ** 20].map(
      (value) => checkedRunOptions({ maxRunningHandlers: value }).maxRunningHandlers,
    );
    const refused = [0, 2 ** 20 + 1, 1.5].map((value) =>
      thrown(() => checkedRunOptions({ maxRunningHandlers: value })),
    );

    expect(taken).toEqual([1, 1_048_576]);
    expect(refused.map(({ message }) => message)).toEqual(
      [0, 1_048_577, 1.5].map(
        (value) =>
          `[invalid_argument] maxRunningHandlers must be a whole number from 1 to 1048576, got ${value}`,
      ),
    );
  });

  test("drainTimeoutMs is valid from 0 to 2^31 - 1", () => {
    const taken = [0, maxSpanMs].map(
      (value) => checkedRunOptions({ drainTimeoutMs: value }).drainTimeoutMs,
    );

    expect(taken).toEqual([0, maxSpanMs]);
    expect(thrown(() => checkedRunOptions({ drainTimeoutMs: -1 })).message).toContain(
      "drainTimeoutMs must be a number from 0 to 2^31 - 1, got -1",
    );
  });

  test("an option that is undefined is one that is not given", () => {
    const options = checkedRunOptions({
      maxRunningHandlers: undefined,
      drainTimeoutMs: undefined,
      signal: undefined,
      ...undefinedPeerOptions,
    });

    expect(options).toEqual(defaults);
  });

  test("signal defaults to none, and is an AbortSignal", () => {
    const { signal } = new AbortController();

    expect(defaults.signal).toBeUndefined();
    expect(checkedRunOptions({ signal }).signal).toBe(signal);
    for (const value of [{}, null, "abort", new AbortController()]) {
      expect(thrown(() => checkedRunOptions({ signal: value as never })).message).toBe(
        `[invalid_argument] signal must be an AbortSignal, got ${String(value)}`,
      );
    }
  });
});

describe.each([
  ["a load", (options: PeerOptions) => checkedLoadOptions(options)],
  ["a run", (options: PeerOptions) => checkedRunOptions(options)],
] as const)("of %s,", (_, checked) => {
  test.each([
    ["maxMessageBytes", 1_024, 1_073_741_824],
    ["maxInFlightCalls", 1, 524_288],
    ["maxInFlightStreams", 1, 262_144],
    ["maxNestedCalls", 1, 262_144],
    ["maxMetadataBytes", 0, 16_384],
    ["streamWindowBytes", 1_024, 1_073_741_824],
    ["connectionWindowBytes", 1_024, 1_073_741_824],
  ] as const)("%s is valid from %d to %d", (name, least, most) => {
    const wrong = [least - 1, most + 1, least + 0.5, NaN, Infinity, "2" as never, null as never];

    const taken = [least, most].map((value) => checked({ [name]: value }).limits[name]);
    const refused = wrong.map((value) => thrown(() => checked({ [name]: value })).message);

    expect(taken).toEqual([least, most]);
    expect(refused).toEqual(
      wrong.map(
        (value) =>
          `[invalid_argument] ${name} must be a whole number from ${least} to ${most}, got ${value}`,
      ),
    );
  });

  test("maxReferences is valid from 0 to 1,048,576", () => {
    const wrong = [-1, 1_048_577, 0.5, NaN, "1" as never];

    const taken = [0, 1_048_576].map((value) => checked({ maxReferences: value }).maxReferences);
    const refused = wrong.map((value) => thrown(() => checked({ maxReferences: value })).message);

    expect(taken).toEqual([0, 1_048_576]);
    expect(refused).toEqual(
      wrong.map(
        (value) =>
          `[invalid_argument] maxReferences must be a whole number from 0 to 1048576, got ${value}`,
      ),
    );
  });

  test("interceptors are an array of functions", () => {
    const interceptor: Interceptor = (request, next) => next(request);

    expect(checked({ interceptors: [interceptor] }).interceptors).toEqual([interceptor]);
    for (const value of [interceptor, [5], [undefined], {}, "x", null]) {
      expect(thrown(() => checked({ interceptors: value as never })).message).toBe(
        `[invalid_argument] interceptors must be an array of functions, got ${String(value)}`,
      );
    }
  });

  test("exposeStack is true or false", () => {
    expect(checked({ exposeStack: true }).exposeStack).toBe(true);
    for (const value of [1, "true", null, {}]) {
      expect(thrown(() => checked({ exposeStack: value as never })).message).toBe(
        `[invalid_argument] exposeStack must be true or false, got ${String(value)}`,
      );
    }
  });

  test("versions are an array of numbers, or an object of such arrays", () => {
    for (const versions of [[1, 2], { "example.KV": [1, 2] }]) {
      expect(checked({ versions }).versions).toBe(versions);
    }
    for (const value of [1, "1", null, true]) {
      expect(thrown(() => checked({ versions: value as never })).message).toBe(
        `[invalid_argument] versions must be an array of numbers, or an object of such arrays, got ${value}`,
      );
    }
  });
});

describe("offer", () => {
  const handler = { get: () => new Uint8Array(0), put() {} };

  test("is an array of services with their handlers", () => {
    expect(checkedLoadOptions({ offer: [[KV, handler]] }).offer).toEqual([
      { service: KV as never, handler },
    ]);
    for (const value of [KV, [KV, handler], [[KV]], "x", null, {}]) {
      expect(thrown(() => checkedLoadOptions({ offer: value as never })).message).toStartWith(
        "[invalid_argument] offer must be an array of [service, handler], got ",
      );
    }
  });

  test("has handlers with every method, each service once, and tables that are some", () => {
    const { get } = handler;
    const wrong: readonly (readonly [unknown, string])[] = [
      [[[KV, { get }]], "the handler of example.KV lacks put()"],
      [[[KV, undefined]], "the handler of example.KV lacks get(), put()"],
      [
        [
          [KV, handler],
          [KV, handler],
        ],
        "example.KV is served twice",
      ],
      [[[{ typeName: "example.KV" }, handler]], "example.KV is not a service table"],
      [[[undefined, handler]], "what was given is not a service table"],
    ];
    for (const [offer, says] of wrong) {
      expect(thrown(() => checkedLoadOptions({ offer: offer as never })).message).toStartWith(
        `[invalid_argument] ${says}`,
      );
    }
  });
});
