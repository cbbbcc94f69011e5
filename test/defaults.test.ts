// What the doc comments of the options say, word for word.

import { describe, expect, test } from "bun:test";

import { checkedLoadOptions } from "../src/host/load-options.ts";
import { checkedRunOptions } from "../src/plugin/run-options.ts";
import { thrown } from "./support/rejection.ts";

const maxSpanMs = 2 ** 31 - 1;

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

  test("streamWindowBytes defaults to 256 KiB, and connectionWindowBytes to 16 MiB", () => {
    const { streamWindowBytes, connectionWindowBytes } = defaults.limits;

    expect({ streamWindowBytes, connectionWindowBytes }).toEqual({
      streamWindowBytes: 262_144,
      connectionWindowBytes: 16_777_216,
    });
  });

  test("args default to none, env to nothing, inheritEnv to false, and the rest to undefined", () => {
    const { args, env, inheritEnv, cwd, signal, transport } = defaults;

    expect({ args, env, inheritEnv, cwd, signal, transport }).toEqual({
      args: [],
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

  test("transport is stdio, socket or the best", () => {
    expect(checkedLoadOptions({ transport: "stdio" }).transport).toBe("stdio");
    expect(checkedLoadOptions({ transport: "socket" }).transport).toBe("socket");
    expect(thrown(() => checkedLoadOptions({ transport: "ring" as never })).code).toBe(
      "invalid_argument",
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

  test("drainTimeoutMs defaults to 5,000", () => {
    expect(defaults.drainTimeoutMs).toBe(5_000);
  });

  test("maxMessageBytes defaults to 64 MiB, and maxInFlightCalls to 16,384", () => {
    const { maxMessageBytes, maxInFlightCalls } = defaults.limits;

    expect({ maxMessageBytes, maxInFlightCalls }).toEqual({
      maxMessageBytes: 67_108_864,
      maxInFlightCalls: 16_384,
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
    expect(checkedRunOptions({ maxRunningHandlers: undefined, drainTimeoutMs: undefined })).toEqual(
      defaults,
    );
  });
});
