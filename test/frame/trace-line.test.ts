import { expect, test } from "bun:test";

import { FrameFlag, FrameKind, kindName } from "../../src/frame/frame-header.ts";
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

test.each([
  [
    FrameKind.Request,
    FrameFlag.Nested | FrameFlag.Metadata,
    " method 2, 14 bytes, metadata, nested",
  ],
  [
    FrameKind.Request,
    FrameFlag.ClientStreams | FrameFlag.ServerStreams,
    " method 2, 14 bytes, client streams, server streams",
  ],
  [FrameKind.Response, FrameFlag.FromCallee | FrameFlag.More, ", 14 bytes, more"],
  [FrameKind.Message, FrameFlag.FromCallee, ", 14 bytes, from callee"],
  [FrameKind.Pong, FrameFlag.Ignorable, ", 14 bytes, ignorable"],
] as const)(
  "a frame of kind %d with flags %d is traced with what they are called",
  (kind, flags, rest) => {
    const line = traceLine("kv", "<", kind, flags, 2, 7, 14);

    expect(line).toBe(`[plug kv] < ${kindName(kind)} #7${rest}`);
  },
);

test("each kind is traced by its name", () => {
  const names = Object.values(FrameKind).map(
    (kind) => /> ([\w-]+) #/.exec(traceLine("kv", ">", kind, 0, 0, 1, 0))?.[1],
  );

  expect(names).toEqual(Object.values(FrameKind).map(kindName));
});
