import { expect, test } from "bun:test";

import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { traceLine, traceVariable } from "../../src/frame/trace-line.ts";

test("PLUG_TRACE is the variable that asks for traces", () => {
  expect(traceVariable).toBe("PLUG_TRACE");
});

test("a request is traced with its id, method, size and flags", () => {
  const line = traceLine("kv", ">", FrameKind.Request, FrameFlag.Deadline, 2, 7, 14);

  expect(line).toBe("[plug kv] > request #7 method 2, 14 bytes, deadline");
});

test("a frame of wire 1 is traced with its id in hex", () => {
  expect(traceLine("kv", "<", 0, 0, 0xff00, 0, 3)).toBe("[plug kv] < frame 0xff00, 3 bytes");
});
