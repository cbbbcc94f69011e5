// The host's side of wire 1: one call on the wire at a time, and nothing but its place says whose
// answer comes in.

import { getEventListeners } from "node:events";

import { describe, expect, test } from "bun:test";

import { isPlugError, PlugError } from "bun-plug";
import fc from "fast-check";
import type { ConnectionEvents } from "../../src/call/client-connection.ts";
import type { CallTerms } from "../../src/call/outgoing-call.ts";
import { wire1Frame, Wire1Reader } from "../../src/frame/wire1-frame.ts";
import { Wire1Client } from "../../src/wire1/wire1-client.ts";
import { Clock } from "../support/clock.ts";
import { byteByByte, joined, randomCuts } from "../support/cuts.ts";
import { FakeTransport, settled } from "../support/fake-transport.ts";
import { bytes, bytesReader, bytesWriter, Outcomes } from "../support/payloads.ts";
import { patternBytes, seeded } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";

const route = { methodId: 0x0102, service: "example.KV", method: "Get", objectId: 0 };
const gone = new PlugError("plugin_exited", "the plugin has gone");

function newClient(maxMessageBytes = 1024 * 1024, events?: ConnectionEvents) {
  const transport = new FakeTransport();
  const client = new Wire1Client({ transport, maxMessageBytes, events });
  client.start();
  return {
    client,
    transport,
    call: (message: Uint8Array, terms?: CallTerms) =>
      client.call(route, bytesWriter, message, bytesReader, terms),
    answer: (payload: Uint8Array, id = route.methodId) =>
      transport.deliver(wire1Frame(id, payload)),
  };
}

/** What was written, as frames. */
function framesOf(stream: Uint8Array): { readonly id: number; readonly payload: Uint8Array }[] {
  const frames: { id: number; payload: Uint8Array }[] = [];
  const reader = new Wire1Reader(1024 * 1024, {
    frame: (id, buffer, from, to) => void frames.push({ id, payload: buffer.slice(from, to) }),
  });
  reader.push(stream, 0, stream.byteLength);
  return frames;
}

describe("Wire1Client.call", () => {
  test("writes the frame of the Go original, at once and alone", () => {
    const { transport, call } = newClient();

    void call(bytes(0x0a, 0x01, 0x6b));

    expect(transport.writes).toEqual([bytes(0x01, 0x02, 0x03, 0x0a, 0x01, 0x6b)]);
  });

  test("has one call on the wire at a time, in the order in which they were placed", async () => {
    const { transport, call, answer, client } = newClient();
    const results = Array.from({ length: 100 }, (_, i) => call(bytes(i)));
    const writeCounts: number[] = [];

    for (let i = 0; i < 100; i++) {
      writeCounts.push(transport.writes.length);
      answer((framesOf(transport.written)[i] as { payload: Uint8Array }).payload);
    }

    expect(writeCounts).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(await Promise.all(results)).toEqual(Array.from({ length: 100 }, (_, i) => bytes(i)));
    expect(client.inFlightCount).toBe(0);
  });

  test("takes an answer however it is cut", async () => {
    const { transport, call } = newClient();
    const results = [call(bytes(1)), call(bytes(2))];
    const answers = joined(
      wire1Frame(route.methodId, patternBytes(300)),
      wire1Frame(route.methodId, bytes(9)),
    );

    for (const chunk of byteByByte(answers)) transport.deliver(chunk);

    expect(await Promise.all(results)).toEqual([patternBytes(300), bytes(9)]);
  });

  test("rejects with the text of an error frame, as unknown and of the peer", async () => {
    const { call, answer, client } = newClient();
    const [first, second] = [call(bytes(1)), call(bytes(2))];

    answer(new TextEncoder().encode("key [l] not in database"), 0xff00);
    answer(bytes(9));

    const error = await rejection(first);
    expect([error.code, error.rawMessage, error.origin]).toEqual([
      "unknown",
      "key [l] not in database",
      "peer",
    ]);
    expect(await second).toEqual(bytes(9));
    expect(client.closeReason).toBeUndefined();
  });

  test("rejects with a PlugError what the reader throws, and goes on", async () => {
    const { client, call, answer } = newClient();
    const cause = new TypeError("undefined is not");
    const first = client.call(route, bytesWriter, bytes(), {
      read() {
        throw cause;
      },
    });
    const second = call(bytes());

    answer(bytes());
    answer(bytes(9));

    const error = await rejection(first);
    expect([error.code, error.cause]).toEqual(["internal", cause]);
    expect(await second).toEqual(bytes(9));
  });

  test("goes on when calls that wait cannot be encoded", async () => {
    const { client, call, answer, transport } = newClient();
    const writer = {
      ...bytesWriter,
      size(): number {
        throw new PlugError("invalid_argument", "cannot encode");
      },
    };
    const first = call(bytes(1));
    const failing = [1, 2, 3].map(() =>
      client.call(route, writer, bytes(), bytesReader, { timeoutMs: 60_000 }),
    );
    const last = call(bytes(2));

    answer(bytes(1));
    answer(bytes(2));

    const codes = (await Promise.all(failing.map(rejection))).map(({ code }) => code);
    expect(codes).toEqual(["invalid_argument", "invalid_argument", "invalid_argument"]);
    expect(await Promise.all([first, last])).toEqual([bytes(1), bytes(2)]);
    expect(transport.writes).toHaveLength(2);
    expect(client.inFlightCount).toBe(0);
  });

  test("tells when the first call is placed and the last one is through", async () => {
    const told: string[] = [];
    const events = { onBusy: () => told.push("busy"), onIdle: () => told.push("idle") };
    const { call, answer } = newClient(1024, events);
    const results = [call(bytes(1)), call(bytes(2))];

    answer(bytes());
    const before = [...told];
    answer(bytes());

    await Promise.all(results);
    expect([before, told]).toEqual([["busy"], ["busy", "idle"]]);
  });

  test("gives bytes that are unchanged after 1,000 further calls", async () => {
    const { transport, call } = newClient();
    const cutting = seeded(20);
    async function ask(payload: Uint8Array): Promise<Uint8Array> {
      const result = call(bytes());
      for (const chunk of randomCuts(wire1Frame(route.methodId, payload), cutting, 90)) {
        transport.deliver(chunk);
      }
      return await result;
    }
    const kept = await ask(patternBytes(200, 1));

    for (let i = 0; i < 1_000; i++) await ask(patternBytes(200, i + 2));

    expect(kept).toEqual(patternBytes(200, 1));
  });
});

describe("a call on wire 1 that is given up", () => {
  test("rejects at once, and keeps its place: its answer goes to no other call", async () => {
    const { client, transport, call, answer } = newClient();
    const controller = new AbortController();
    const first = call(bytes(1), { signal: controller.signal });
    const second = call(bytes(2));

    controller.abort();
    const error = await rejection(first);
    const writesBefore = transport.writes.length;
    answer(bytes(11));
    answer(bytes(22));

    expect(error.code).toBe("cancelled");
    expect(writesBefore).toBe(1);
    expect(await second).toEqual(bytes(22));
    expect(client.inFlightCount).toBe(0);
  });

  test("keeps its place also if its answer is an error", async () => {
    const { call, answer } = newClient();
    const controller = new AbortController();
    const first = call(bytes(1), { signal: controller.signal });
    const second = call(bytes(2));
    controller.abort();

    answer(new TextEncoder().encode("no such key"), 0xff00);
    answer(bytes(22));

    expect((await rejection(first)).code).toBe("cancelled");
    expect(await second).toEqual(bytes(22));
  });

  test("is never sent if it was waiting for its turn", async () => {
    const { transport, call, answer, client } = newClient();
    const controller = new AbortController();
    const results = [call(bytes(1)), call(bytes(2), { signal: controller.signal }), call(bytes(3))];
    const outcomes = new Outcomes(results);

    controller.abort();
    const inFlightCount = client.inFlightCount;
    answer(bytes(11));
    answer(bytes(33));
    await settled();

    expect(framesOf(transport.written).map(({ payload }) => payload)).toEqual([bytes(1), bytes(3)]);
    expect(inFlightCount).toBe(2);
    expect(outcomes.values[2]).toEqual(bytes(33));
    expect((outcomes.errors[1] as PlugError).code).toBe("cancelled");
    expect(client.inFlightCount).toBe(0);
  });

  test("has its deadline running while it waits", async () => {
    using clock = new Clock();
    const { call, answer, transport } = newClient();
    const first = call(bytes(1));
    const second = call(bytes(2), { timeoutMs: 50 });

    clock.advance(51);
    answer(bytes(11));

    expect((await rejection(second)).code).toBe("deadline_exceeded");
    expect(await first).toEqual(bytes(11));
    expect(transport.writes).toHaveLength(1);
  });

  test("by its deadline, on the wire, keeps its place", async () => {
    using clock = new Clock();
    const { call, answer } = newClient();
    const first = call(bytes(1), { timeoutMs: 50 });
    const second = call(bytes(2));

    clock.advance(51);
    answer(bytes(11));
    answer(bytes(22));

    expect((await rejection(first)).code).toBe("deadline_exceeded");
    expect(await second).toEqual(bytes(22));
  });

  test("leaves no listener and no timer behind", async () => {
    using clock = new Clock();
    const { client, call, answer } = newClient();
    const { signal } = new AbortController();
    const results = Array.from({ length: 20 }, () => call(bytes(), { signal, timeoutMs: 60_000 }));
    for (let i = 0; i < 10; i++) answer(bytes());

    client.close(gone);

    const outcomes = await Promise.allSettled(results);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(clock.timerCount).toBe(0);
    expect(client.inFlightCount).toBe(0);
  });
});

describe("the limits of wire 1", () => {
  // Two bytes of id and three of length.
  const mostBytes = 65_536 - 5;

  test("a request whose frame has exactly 65,536 bytes is sent", () => {
    const { transport, call } = newClient();

    void call(patternBytes(mostBytes));

    expect(transport.written.byteLength).toBe(65_536);
  });

  test("a request whose frame has one byte more is refused with both numbers, and not sent", async () => {
    const { transport, call, client } = newClient();

    const error = await rejection(call(patternBytes(mostBytes + 1)));

    expect(error.message).toBe(
      "[resource_exhausted] request of example.KV.Get makes a frame of 65537 bytes; a plugin built with the Go original takes at most 65536",
    );
    expect(transport.writes).toEqual([]);
    expect([client.inFlightCount, client.closeReason]).toEqual([0, undefined]);
  });

  test("an answer of exactly maxMessageBytes arrives", async () => {
    const { call, answer } = newClient(2_000);
    const result = call(bytes());

    answer(patternBytes(2_000));

    expect(await result).toEqual(patternBytes(2_000));
  });

  test("an answer of one byte more ends the connection with resource_exhausted, by its header", async () => {
    const { call, transport, client } = newClient(2_000);
    const results = [call(bytes()), call(bytes())];

    transport.deliver(wire1Frame(route.methodId, patternBytes(2_001)).subarray(0, 4));

    const errors = await Promise.all(results.map(rejection));
    expect(errors.map(({ code }) => code)).toEqual(["resource_exhausted", "resource_exhausted"]);
    expect(errors[0]?.message).toContain("announces 2001 bytes, more than maxMessageBytes 2000");
    expect(client.closeReason).toBe(errors[0] as PlugError);
  });
});

describe("a plugin that breaks wire 1", () => {
  test("by an answer with another id ends the connection with protocol_error, naming both", async () => {
    const { call, answer, client, transport } = newClient();
    const results = [call(bytes(1)), call(bytes(2))];

    answer(bytes(), 0x0103);

    const errors = await Promise.all(results.map(rejection));
    expect(errors[0]?.message).toBe(
      "[protocol_error] frame 0x0103 came where the answer to example.KV.Get, 0x0102, was due; does the plugin print on its stdout?",
    );
    expect(errors[1]).toBe(errors[0] as PlugError);
    expect(client.closeReason).toBe(errors[0] as PlugError);
    expect(transport.closeCount).toBe(1);
  });

  test.each([0x0102, 0xff00])("by an answer 0x%x that nobody asked for ends it too", (id) => {
    const { answer, client } = newClient();

    answer(bytes(), id);

    expect(client.closeReason?.code).toBe("protocol_error");
    expect(client.closeReason?.message).toContain("answers nothing that was asked");
  });
});

describe("the end of a connection of wire 1", () => {
  test("rejects the call on the wire and those that wait with the first reason", async () => {
    const closed: PlugError[] = [];
    const { client, call, transport } = newClient(1024, {
      onClosed: (reason) => closed.push(reason),
    });
    const results = [call(bytes(1)), call(bytes(2)), call(bytes(3))];

    client.close(gone);
    client.close(new PlugError("unavailable", "again"));

    expect(await Promise.all(results.map(rejection))).toEqual([gone, gone, gone]);
    expect(await rejection(call(bytes(4)))).toBe(gone);
    expect(closed).toEqual([gone]);
    expect(transport.closeCount).toBe(1);
  });

  test("is unavailable, with the cause, when the transport ends and nobody listens", async () => {
    const { call, transport } = newClient();
    const result = call(bytes());
    const cause = new Error("EPIPE");

    transport.end(cause);

    const error = await rejection(result);
    expect([error.code, error.cause]).toEqual(["unavailable", cause]);
  });

  test("is told to who listens, and the calls wait until that one closes", async () => {
    const ended: unknown[] = [];
    const { client, call, transport } = newClient(1024, { onEnded: (cause) => ended.push(cause) });
    const outcomes = new Outcomes([call(bytes())]);

    transport.end();
    await settled();
    const before = outcomes.settledCount;
    client.close(gone);
    await settled();

    expect([ended, before, outcomes.errors]).toEqual([[undefined], 0, [gone]]);
  });
});

test("whatever the plugin sends, the connection ends with a PlugError, and every call settles", async () => {
  const answers = fc
    .array(
      fc.tuple(
        fc.constantFrom(0x0102, 0x0102, 0x0102, 0xff00, 0x0103),
        fc.uint8Array({ maxLength: 300 }),
      ),
      { maxLength: 8 },
    )
    .map((frames) => joined(...frames.map(([id, payload]) => wire1Frame(id, payload))));
  const mutated = fc.tuple(answers, fc.nat(), fc.nat(255)).map(([stream, at, byte]) => {
    stream[at % Math.max(1, stream.byteLength)] = byte;
    return stream;
  });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.uint8Array({ maxLength: 100 }), answers, mutated),
      fc.integer({ min: 1, max: 60 }),
      fc.integer(),
      async (stream, maxChunkBytes, seed) => {
        const { client, call, transport } = newClient(250);
        const outcomes = new Outcomes(Array.from({ length: 5 }, (_, i) => call(bytes(i))));

        for (const chunk of randomCuts(stream, seeded(seed), maxChunkBytes))
          transport.deliver(chunk);
        transport.end();
        await settled();

        expect(outcomes.settledCount).toBe(5);
        expect(outcomes.errors.filter((error) => error && !isPlugError(error))).toEqual([]);
        expect(["unavailable", "protocol_error", "resource_exhausted"]).toContain(
          client.closeReason?.code as string,
        );
        expect([client.inFlightCount, transport.closeCount]).toEqual([0, 1]);
      },
    ),
    { numRuns: 2_000, seed: 21 },
  );
});
