import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { call, pair, scripted } from "../support/connections.ts";
import { byteByByte, joined, randomCuts } from "../support/cuts.ts";
import { turnsUntil } from "../support/fake-transport.ts";
import { errorFrame, request, response, split, u32 } from "../support/frames.ts";
import {
  bytes,
  bytesReader,
  bytesWriter,
  echo,
  KeepingHandler,
  route,
} from "../support/payloads.ts";
import { patternBytes, seeded, shuffled } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";

describe("Connection.call", () => {
  test("is one frame each way", async () => {
    const peer = scripted();
    const result = peer.connection.call(
      { ...route, methodId: 3 },
      bytesWriter,
      bytes(7, 8),
      bytesReader,
    );

    const sent = await peer.sent();
    peer.deliver(response(sent[0]?.requestId as number, [9]));

    expect(sent).toEqual([
      { kind: FrameKind.Request, flags: 0, methodId: 3, requestId: 1, payload: bytes(7, 8) },
    ]);
    expect(await result).toEqual(bytes(9));
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("tells the peer how many milliseconds are left, before the message", async () => {
    const peer = scripted();
    void peer.call(bytes(7), { timeoutMs: 60_000 });

    const [sent] = await peer.sent();

    expect(sent?.flags).toBe(FrameFlag.Deadline);
    const leftMs = new DataView((sent?.payload as Uint8Array).buffer).getUint32(0, true);
    expect(leftMs).toBeGreaterThan(50_000);
    expect(leftMs).toBeLessThanOrEqual(60_000);
    expect(sent?.payload.subarray(4)).toEqual(bytes(7));
    peer.deliver(response(1));
  });

  test("encodes the value before it returns", async () => {
    const peer = scripted();
    const message = bytes(1, 2, 3);
    void peer.call(message);
    message.fill(0);

    const [sent] = await peer.sent();

    expect(sent?.payload).toEqual(bytes(1, 2, 3));
  });

  test("rejects with the error that the peer sends", async () => {
    const peer = scripted();
    const result = peer.call(bytes());

    peer.deliver(errorFrame(1, "not_found", "no value"));

    const error = await rejection(result);
    expect([error.code, error.rawMessage, error.origin]).toEqual(["not_found", "no value", "peer"]);
  });

  test("rejects with what the reader throws, and with internal if that is no PlugError", async () => {
    const peer = scripted();
    const thrown = [new PlugError("data_loss", "not a message"), new TypeError("undefined is not")];
    const results = thrown.map((error) =>
      peer.connection.call(route, bytesWriter, bytes(), {
        read() {
          throw error;
        },
      }),
    );

    peer.deliver(response(1), response(2));

    const errors = await Promise.all(results.map(rejection));
    expect(errors.map(({ code }) => code)).toEqual(["data_loss", "internal"]);
    expect(errors[1]?.cause).toBe(thrown[1]);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("rejects with what the writer's size throws, and sends nothing", async () => {
    const peer = scripted();
    const writer = {
      ...bytesWriter,
      size(): number {
        throw new PlugError("invalid_argument", "cannot encode");
      },
    };

    const error = await rejection(peer.connection.call(route, writer, bytes(), bytesReader));

    expect(error.code).toBe("invalid_argument");
    expect(await peer.sent()).toEqual([]);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  // host and plugin may each bundle a copy of this package, and generated code bring another one.
  test("rejects with a PlugError of another copy of this package as it is", async () => {
    const peer = scripted();
    const foreign = Object.defineProperties(new Error("[invalid_argument] cannot encode"), {
      [Symbol.for("bun-plug.PlugError")]: { value: true },
      code: { value: "invalid_argument" },
    });
    const writer = {
      ...bytesWriter,
      size(): number {
        throw foreign;
      },
    };

    const error = await rejection(peer.connection.call(route, writer, bytes(), bytesReader));

    expect(error.code).toBe("invalid_argument");
  });

  test("tells when the first call is placed and the last one is through", async () => {
    const told: string[] = [];
    const events = { onBusy: () => told.push("busy"), onIdle: () => told.push("idle") };
    const peer = scripted({ events });
    const results = [peer.call(bytes(1)), peer.call(bytes(2))];

    peer.deliver(response(2));
    const before = [...told];
    peer.deliver(response(1));

    await Promise.all(results);
    expect([before, told]).toEqual([["busy"], ["busy", "idle"]]);
  });

  test("traces each frame, both ways", async () => {
    const frames: unknown[] = [];
    const peer = scripted({ events: { onFrame: (...fields) => frames.push(fields) } });
    const result = peer.connection.call(
      { ...route, methodId: 3 },
      bytesWriter,
      bytes(7, 8),
      bytesReader,
    );

    peer.deliver(response(1, [9]));

    await result;
    expect(frames).toEqual([
      [">", FrameKind.Request, 0, 3, 1, 2],
      ["<", FrameKind.Response, FrameFlag.FromCallee, 0, 1, 1],
    ]);
  });
});

describe("10,000 calls in flight at once", () => {
  const callCount = 10_000;
  const messages = Array.from({ length: callCount }, (_, i) => u32(i * 7));

  test("all get their own answer, in whatever order the peer answers", async () => {
    const peer = scripted();
    const results = messages.map((message) => peer.call(message));
    const requests = await peer.sent();
    const inFlightCount = peer.connection.inFlightCount;

    // Each answer is its request, so an answer that goes to another call is seen.
    const answers = shuffled(requests, seeded(10)).map(({ requestId, payload }) =>
      response(requestId, payload),
    );
    for (const chunk of randomCuts(joined(...answers), seeded(11), 4_000)) peer.deliver(chunk);

    expect(inFlightCount).toBe(callCount);
    expect(await Promise.all(results)).toEqual(messages);
    expect(peer.connection.inFlightCount).toBe(0);
  });

  test("all get their own answer from another connection, which answers in random order", async () => {
    const handler = new KeepingHandler();
    const { host, plugin } = pair({ handler });
    const results = messages.map((message) => call(host, message));
    await turnsUntil("all calls have come", () => handler.calls.length === callCount);
    const incomingCount = plugin.incomingCount;

    for (const { call, request } of shuffled(handler.calls, seeded(12))) {
      call.respond(bytesWriter, request);
    }

    expect(incomingCount).toBe(callCount);
    expect(await Promise.all(results)).toEqual(messages);
    expect([host.inFlightCount, plugin.incomingCount]).toEqual([0, 0]);
  });
});

describe("the frames of one turn", () => {
  // Answers that take their time do not wait for the last of them.
  test("go out in one write: 1,000 calls of one tick are 1, their answers one for 8 at least", async () => {
    const { host, hostTransport, pluginTransport } = pair({ handler: echo });

    await Promise.all(Array.from({ length: 1_000 }, (_, i) => call(host, u32(i))));

    expect(hostTransport.sent.writeCount).toBe(1);
    expect(pluginTransport.sent.writeCount).toBeLessThanOrEqual(1_000 / 8 + 1);
  });

  test("go out at the end of the chunk that caused them", () => {
    const peer = scripted({ handler: echo });

    peer.deliver(joined(request(1), request(2), request(3)));

    expect(peer.transport.sent.writeCount).toBe(1);
  });
});

describe("bytes of an answer that was kept", () => {
  const cases: readonly [string, number, (stream: Uint8Array) => Uint8Array[]][] = [
    ["in one chunk", 100, (stream) => [stream]],
    ["straddling two chunks", 100, (stream) => [stream.slice(0, 50), stream.slice(50)]],
    ["byte by byte", 100, byteByByte],
    ["of 300 KiB", 300 * 1024, (stream) => randomCuts(stream, seeded(13), 70_000)],
  ];
  test.each(cases)("%s are unchanged after 1,000 further calls", async (_, byteCount, cut) => {
    const peer = scripted();
    const first = patternBytes(byteCount, 1);
    const kept = peer.call(bytes());
    for (const chunk of cut(joined(...answer(1, first)))) peer.deliver(chunk);
    const value = await kept;

    for (let i = 0; i < 1_000; i++) {
      const result = peer.call(bytes());
      const id = (await peer.sent()).at(-1)?.requestId as number;
      for (const chunk of cut(joined(...answer(id, patternBytes(100, i))))) peer.deliver(chunk);
      await result;
    }

    expect(value).toEqual(first);
  });

  function answer(id: number, message: Uint8Array): Uint8Array[] {
    return message.byteLength > 60_000
      ? split(FrameKind.Response, id, message)
      : [response(id, message)];
  }
});

describe("a writer that throws when the size is known already", () => {
  const broken = {
    size: () => 3,
    write(): number {
      throw new Error("the codec is broken");
    },
  };

  test("rejects its call with internal, and the next one goes on", async () => {
    const { host } = pair({ handler: echo });

    const failed = await rejection(host.call(route, broken, undefined, bytesReader));

    expect(failed.code).toBe("internal");
    expect(await host.call(route, bytesWriter, bytes(1), bytesReader)).toEqual(bytes(1));
    expect(host.inFlightCount).toBe(0);
  });

  test("is internal to the caller too when it writes the answer", async () => {
    const { host, plugin } = pair({
      handler: { handle: (call) => call.respond(broken, undefined) },
    });

    const failed = await rejection(host.call(route, bytesWriter, bytes(1), bytesReader));

    expect(failed.code).toBe("internal");
    expect(plugin.incomingCount).toBe(0);
  });
});
