import { describe, expect, test } from "bun:test";

import { checkedLimits, defaultLimits } from "../../src/call/limits.ts";
import { thrown } from "../support/rejection.ts";

test("maxMessageBytes defaults to 64 MiB", () => {
  expect(defaultLimits.maxMessageBytes).toBe(64 * 1024 * 1024);
  expect(checkedLimits({}).maxMessageBytes).toBe(64 * 1024 * 1024);
});

test("maxInFlightCalls defaults to 16,384", () => {
  expect(defaultLimits.maxInFlightCalls).toBe(16_384);
  expect(checkedLimits({ maxInFlightCalls: undefined }).maxInFlightCalls).toBe(16_384);
});

describe("checkedLimits", () => {
  test("maxMessageBytes is valid from 1 KiB to 1 GiB", () => {
    const taken = [1024, 1024 ** 3].map((value) => checkedLimits({ maxMessageBytes: value }));

    expect(taken.map(({ maxMessageBytes }) => maxMessageBytes)).toEqual([1024, 1024 ** 3]);
  });

  test("maxInFlightCalls is valid from 1 to 524,288", () => {
    const taken = [1, 2 ** 19].map((value) => checkedLimits({ maxInFlightCalls: value }));

    expect(taken.map(({ maxInFlightCalls }) => maxInFlightCalls)).toEqual([1, 2 ** 19]);
  });

  test.each([1023, 1024 ** 3 + 1, 0, -1, 1024.5, NaN, Infinity, "4096" as never])(
    "refuses maxMessageBytes %p with invalid_argument, naming the range and the value",
    (value) => {
      const error = thrown(() => checkedLimits({ maxMessageBytes: value }));

      expect(error.message).toBe(
        `[invalid_argument] maxMessageBytes must be a whole number from 1024 to 1073741824, got ${value}`,
      );
    },
  );

  test.each([0, 2 ** 19 + 1, -1, 0.5, NaN])(
    "refuses maxInFlightCalls %p with invalid_argument, naming the range and the value",
    (value) => {
      const error = thrown(() => checkedLimits({ maxInFlightCalls: value }));

      expect(error.message).toBe(
        `[invalid_argument] maxInFlightCalls must be a whole number from 1 to 524288, got ${value}`,
      );
    },
  );

  test.each(["streamWindowBytes", "connectionWindowBytes"] as const)(
    "takes %s from 1 KiB to 1 GiB, and refuses others, naming the range and the value",
    (name) => {
      const taken = [1024, 2 ** 30].map((value) => checkedLimits({ [name]: value })[name]);
      const refused = [1023, 2 ** 30 + 1, 0, -1, 2048.5, NaN].map(
        (value) => thrown(() => checkedLimits({ [name]: value })).message,
      );

      expect(taken).toEqual([1024, 2 ** 30]);
      expect(refused).toEqual(
        [1023, 2 ** 30 + 1, 0, -1, 2048.5, NaN].map(
          (value) =>
            `[invalid_argument] ${name} must be a whole number from 1024 to 1073741824, got ${value}`,
        ),
      );
    },
  );

  test("leaves the defaults as they are", () => {
    checkedLimits({ maxMessageBytes: 2048, maxInFlightCalls: 1, streamWindowBytes: 1024 });

    expect(defaultLimits).toEqual({
      maxMessageBytes: 67_108_864,
      maxInFlightCalls: 16_384,
      maxInFlightStreams: 4_096,
      maxNestedCalls: 16_384,
      maxMetadataBytes: 8_192,
      streamWindowBytes: 262_144,
      connectionWindowBytes: 16_777_216,
    });
  });
});
