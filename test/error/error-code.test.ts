import { describe, expect, test } from "bun:test";

import * as forHosts from "bun-plug";
import * as forPlugins from "bun-plug/plugin";
import {
  codeFromConnect,
  codeFromGrpc,
  connectCode,
  type ErrorCode,
  errorCodes,
  PlugError,
} from "bun-plug";
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

const ofRuntime = ["plugin_exited", "start_failed", "not_a_plugin"].concat([
  "handshake_mismatch",
  "protocol_error",
  "draining",
]) as ErrorCode[];

describe("a code of gRPC", () => {
  test.each(Object.entries(grpcCodes))("%s is there and back as number %d", (code, status) => {
    expect(errorCodes[code as ErrorCode].grpc).toBe(status);
    expect(codeFromGrpc(status)).toBe(code as ErrorCode);
  });

  test("is that of a runtime's code too, and never the way back to one", () => {
    const theWayBack = ofRuntime.map((code) => codeFromGrpc(errorCodes[code].grpc));

    expect(theWayBack).toEqual([
      "unavailable",
      "failed_precondition",
      "failed_precondition",
      "failed_precondition",
      "internal",
      "unavailable",
    ]);
  });

  test("that there is not is unknown", () => {
    for (const status of [0, 17, -1, 1.5, NaN, "5" as never]) {
      expect(codeFromGrpc(status)).toBe("unknown");
    }
  });
});

describe("a code of Connect", () => {
  // In the words of Connect's specification.
  const connectNames: Readonly<Record<string, ErrorCode>> = {
    canceled: "cancelled",
    unknown: "unknown",
    invalid_argument: "invalid_argument",
    deadline_exceeded: "deadline_exceeded",
    not_found: "not_found",
    already_exists: "already_exists",
    permission_denied: "permission_denied",
    resource_exhausted: "resource_exhausted",
    failed_precondition: "failed_precondition",
    aborted: "aborted",
    out_of_range: "out_of_range",
    unimplemented: "unimplemented",
    internal: "internal",
    unavailable: "unavailable",
    data_loss: "data_loss",
    unauthenticated: "unauthenticated",
  };

  test.each(Object.entries(connectNames))("%s is there and back as %s", (name, code) => {
    expect(codeFromConnect(name)).toBe(code);
    expect(connectCode(code)).toBe(name);
  });

  test("is that of gRPC for what only the runtime raises, and never the way back to it", () => {
    for (const code of ofRuntime) {
      expect(connectCode(code)).toBe(codeFromGrpc(errorCodes[code].grpc));
      expect(codeFromConnect(code)).toBe("unknown");
    }
  });

  test("that there is not is unknown", () => {
    for (const name of ["", "Canceled", "constructor", "ok", undefined as never]) {
      expect(codeFromConnect(name)).toBe("unknown");
    }
  });
});

test("hosts and plugins have the same table and the same ways of codes", () => {
  const names = ["errorCodes", "codeFromGrpc", "codeFromConnect", "connectCode"] as const;

  for (const name of names) expect(forPlugins[name]).toBe(forHosts[name] as never);
});
