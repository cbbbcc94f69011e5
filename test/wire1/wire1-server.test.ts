// The plugin's side of wire 1: a Go host asks, and gets one answer to each question, in order.

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import fc from "fast-check";
import type { ConnectionEvents } from "../../src/call/client-connection.ts";
import type { CallHandler } from "../../src/call/incoming-call.ts";
import { wire1Frame, Wire1Reader } from "../../src/frame/wire1-frame.ts";
import { Wire1Server } from "../../src/wire1/wire1-server.ts";
import { byteByByte, joined, randomCuts } from "../support/cuts.ts";
import { FakeTransport, settled } from "../support/fake-transport.ts";
import { bytes, bytesWriter, echo, KeepingHandler } from "../support/payloads.ts";
import { patternBytes, seeded } from "../support/random.ts";

const serviceIndex = 3;
const gone = new PlugError("unavailable", "the host has gone");

interface Answer {
  readonly id: number;
  readonly payload: Uint8Array;
}

function newServer(handler: CallHandler, events?: ConnectionEvents) {
  const transport = new FakeTransport();
  const server = new Wire1Server({
    transport,
    serviceIndex,
    maxMessageBytes: 100_000,
    handler,
    events,
  });
  server.start();
  return {
    server,
    transport,
    ask: (methodIndex: number, payload: Uint8Array = bytes()) =>
      transport.deliver(wire1Frame((serviceIndex << 8) | methodIndex, payload)),
    answers(): Answer[] {
      const answers: Answer[] = [];
      const reader = new Wire1Reader(1024 * 1024, {
        frame: (id, buffer, from, to) => void answers.push({ id, payload: buffer.slice(from, to) }),
      });
      const written = transport.takeWritten();
      reader.push(written, 0, written.byteLength);
      return answers;
    },
  };
}

function text({ payload }: Answer): string {
  return new TextDecoder().decode(payload);
}

describe("Wire1Server", () => {
  test("answers with the id of the request, at once and alone", () => {
    const { ask, transport } = newServer(echo);

    ask(1, bytes(7, 8));

    expect(transport.writes).toEqual([bytes(3, 1, 2, 7, 8)]);
  });

  test("hands the handler the position of the method, and the request", () => {
    const handler = new KeepingHandler();
    const { ask } = newServer(handler);

    ask(5, bytes(1, 2));

    expect(handler.calls.map(({ call, request }) => [call.methodId, request])).toEqual([
      [5, bytes(1, 2)],
    ]);
  });

  test("takes requests however they are cut", () => {
    const { transport, answers } = newServer(echo);
    const requests = [bytes(1), patternBytes(300), bytes()].map((payload) =>
      wire1Frame(0x0300, payload),
    );

    for (const chunk of byteByByte(joined(...requests))) transport.deliver(chunk);

    expect(answers().map(({ payload }) => payload)).toEqual([bytes(1), patternBytes(300), bytes()]);
  });

  test("runs one call at a time: what comes meanwhile waits, and is answered in order", () => {
    const handler = new KeepingHandler();
    const { server, transport, answers } = newServer(handler);
    transport.deliver(joined(...[0, 1, 2].map((i) => wire1Frame(0x0300 | i, bytes(i)))));
    const [startedBefore, incomingCount] = [handler.calls.length, server.incomingCount];

    for (let i = 0; i < 3; i++) handler.calls[i]?.call.respond(bytesWriter, bytes(i));

    expect([startedBefore, incomingCount]).toEqual([1, 3]);
    expect(answers()).toEqual([0, 1, 2].map((i) => ({ id: 0x0300 | i, payload: bytes(i) })));
    expect(server.incomingCount).toBe(0);
  });

  test("keeps the bytes of a request that waits", () => {
    const handler = new KeepingHandler();
    const { ask } = newServer(handler);
    ask(0, bytes(1));

    ask(0, patternBytes(100));
    handler.calls[0]?.call.respond(bytesWriter, bytes());

    expect(handler.calls[1]?.request).toEqual(patternBytes(100));
  });

  test("answers 1,024 requests that have waited without running out of stack", () => {
    const first = new KeepingHandler();
    const { server, ask, answers } = newServer({
      handle(call, buffer, from, to) {
        if (first.calls.length === 0) first.handle(call, buffer, from, to);
        else echo.handle(call, buffer, from, to, false);
      },
    });
    for (let i = 0; i <= 1_024; i++) ask(0, bytes(i & 0xff));

    first.calls[0]?.call.respond(bytesWriter, bytes(0));

    expect(answers().map(({ payload }) => payload[0])).toEqual(
      Array.from({ length: 1_025 }, (_, i) => i & 0xff),
    );
    expect(server.incomingCount).toBe(0);
  });

  test("ends with protocol_error when more than 1,024 requests wait", () => {
    const closed: PlugError[] = [];
    const { ask, transport } = newServer(new KeepingHandler(), { onClosed: (r) => closed.push(r) });

    for (let i = 0; i <= 1_025; i++) ask(0);

    expect(closed.map(({ code }) => code)).toEqual(["protocol_error"]);
    expect(closed[0]?.message).toContain("at once on wire 1, which has one at a time");
    expect(transport.closeCount).toBe(1);
  });

  test("answers a request for another service with an error that names both, and goes on", () => {
    const { transport, ask, answers } = newServer(echo);

    transport.deliver(wire1Frame(0x0201, bytes(1)));
    ask(0, bytes(2));

    const [first, second] = answers() as [Answer, Answer];
    expect(first.id).toBe(0xff00);
    expect(text(first)).toBe("request 0x0201 is for service 2; the handshake was for service 3");
    expect(second.payload).toEqual(bytes(2));
  });

  test("answers an error with its raw text", () => {
    const { ask, answers } = newServer({
      handle: (call) => call.fail(new PlugError("not_found", "key [l] not in database")),
    });

    ask(0);

    const [answer] = answers() as [Answer];
    expect([answer.id, text(answer)]).toEqual([0xff00, "key [l] not in database"]);
  });

  test("answers whatever a handler throws", () => {
    const values = [Object.create(null), Symbol("x"), undefined, new Error("last")];
    const { ask, answers, server } = newServer({ handle: (call) => call.fail(values.shift()) });

    for (let i = 0; i < 4; i++) ask(0);

    const sent = answers();
    expect(sent.map(({ id }) => id)).toEqual([0xff00, 0xff00, 0xff00, 0xff00]);
    expect(text(sent[3] as Answer)).toBe("last");
    expect(server.incomingCount).toBe(0);
  });

  test("answers once: what a handler says later is dropped", () => {
    const handler = new KeepingHandler();
    const { ask, answers } = newServer(handler);
    ask(0);
    const { call } = handler.calls[0] as KeepingHandler["calls"][0];

    call.fail(new Error("first"));
    call.respond(bytesWriter, bytes(1));
    call.fail(new Error("third"));

    expect(answers().map(text)).toEqual(["first"]);
  });

  test("sends a response whose frame has exactly 65,536 bytes", () => {
    const { ask, transport } = newServer({
      handle: (call) => call.respond(bytesWriter, patternBytes(65_531)),
    });

    ask(0);

    expect(transport.written.byteLength).toBe(65_536);
  });

  test("answers a response of one byte more with an error that has both numbers, and goes on", () => {
    const handler = new KeepingHandler();
    const { ask, answers } = newServer(handler);
    ask(0);
    ask(0);
    const { call } = handler.calls[0] as KeepingHandler["calls"][0];
    call.service = "example.KV";
    call.method = "Get";

    call.respond(bytesWriter, patternBytes(65_532));
    handler.calls[1]?.call.respond(bytesWriter, bytes(9));

    const [first, second] = answers() as [Answer, Answer];
    expect([first.id, text(first)]).toEqual([
      0xff00,
      "response of example.KV.Get makes a frame of 65537 bytes; a host built with the Go original takes at most 65536",
    ]);
    expect(second).toEqual({ id: 0x0300, payload: bytes(9) });
  });

  test("aborts the call that runs when it is closed, starts none that waits, and says no more", () => {
    const handler = new KeepingHandler();
    const { server, ask, transport } = newServer(handler);
    ask(0);
    ask(1);
    const { call } = handler.calls[0] as KeepingHandler["calls"][0];

    server.close(gone);
    call.respond(bytesWriter, bytes(1));
    ask(2);

    expect(call.signal.reason).toBe(gone);
    expect(handler.calls).toHaveLength(1);
    expect(transport.writes).toEqual([]);
    expect(server.incomingCount).toBe(0);
  });

  test("closes itself with unavailable when the transport ends and nobody listens", () => {
    const closed: PlugError[] = [];
    const { transport } = newServer(echo, { onClosed: (reason) => closed.push(reason) });

    transport.end();

    expect(closed.map(({ code }) => code)).toEqual(["unavailable"]);
  });

  test("is ended, and never broken, by what a host sends", async () => {
    const requests = fc
      .array(fc.tuple(fc.constantFrom(0x0300, 0x0301, 0x0302, 0x0100, 0xff00), fc.uint8Array()), {
        maxLength: 8,
      })
      .map((frames) => joined(...frames.map(([id, payload]) => wire1Frame(id, payload))));
    const mutated = fc.tuple(requests, fc.nat(), fc.nat(255)).map(([stream, at, byte]) => {
      stream[at % Math.max(1, stream.byteLength)] = byte;
      return stream;
    });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.uint8Array(), requests, mutated),
        fc.boolean(),
        fc.integer(),
        async (stream, isPrompt, seed) => {
          const closed: PlugError[] = [];
          const { server, transport } = newServer(isPrompt ? echo : new KeepingHandler(), {
            onClosed: (reason) => closed.push(reason),
          });

          for (const chunk of randomCuts(stream, seeded(seed), 30)) transport.deliver(chunk);
          transport.end();
          await settled();

          expect(["unavailable", "protocol_error", "resource_exhausted"]).toContain(
            closed[0]?.code as string,
          );
          expect([closed.length, server.incomingCount, transport.closeCount]).toEqual([1, 0, 1]);
        },
      ),
      { numRuns: 2_000, seed: 22 },
    );
  });
});
