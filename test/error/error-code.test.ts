import { describe, expect, test } from "bun:test";

import { type ErrorCode, errorCodes, PlugError } from "bun-plug";
import { isErrorCode } from "../../src/error/error-code.ts";

const codes = Object.keys(errorCodes) as ErrorCode[];

const grpcCodes = {
  cancelled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
} as const;

describe("errorCodes", () => {
  test("are gRPC's sixteen, with their numbers, and six of the runtime", () => {
    const numbers = Object.fromEntries(
      codes
        .filter((code) => errorCodes[code].raisedBy === "anyone")
        .map((code) => [code, errorCodes[code].grpc]),
    );
    const ofRuntime = codes.filter((code) => errorCodes[code].raisedBy === "runtime");

    expect(numbers).toEqual(grpcCodes);
    expect(ofRuntime).toEqual([
      "plugin_exited",
      "start_failed",
      "not_a_plugin",
      "handshake_mismatch",
      "protocol_error",
      "draining",
    ]);
  });

  test.each(codes)(
    "%s has a retry rule, a gRPC number from 1 to 16, and a line for the README",
    (code) => {
      const { retry, grpc, means } = errorCodes[code];

      expect(["never", "same_process", "new_process"]).toContain(retry);
      expect(Object.values<number>(grpcCodes)).toContain(grpc);
      expect(means).toMatch(/^[a-z`].+[^.]$/);
    },
  );

  test("need a new process only where the old one is of no use any more", () => {
    const needNewProcess = codes.filter((code) => errorCodes[code].retry === "new_process");

    expect(needNewProcess).toEqual(["plugin_exited", "protocol_error", "draining"]);
  });
});

test("isErrorCode is true for the codes of the table, and not for names that every object has", () => {
  const texts = [...codes, "", "constructor", "toString", "__proto__", "Cancelled"];

  expect(texts.filter(isErrorCode)).toEqual(codes);
});

test.each(codes)("a PlugError of code %s has the retry rule of the table", (code) => {
  expect(new PlugError(code, "x").retry).toBe(errorCodes[code].retry);
});
