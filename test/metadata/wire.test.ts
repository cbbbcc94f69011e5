// Metadata in frames, as a peer sends them that does what the test says, right or wrong.

import { describe, expect, test } from "bun:test";

import { type Metadata, PlugError } from "bun-plug";
import type { CallHandler } from "../../src/call/incoming-call.ts";
import { decodeError, encodeError } from "../../src/frame/error-payload.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { emptyWriter } from "../../src/stream/payload.ts";
import { scripted } from "../support/connections.ts";
import { joined } from "../support/cuts.ts";
import { settled } from "../support/fake-transport.ts";
import { errorFrame, frame, messageFrame, request, response, u32 } from "../support/frames.ts";
import { protobuf } from "../support/handshake.ts";
import { bytes, bytesReader, bytesWriter, echo, route } from "../support/payloads.ts";
import { rejection } from "../support/rejection.ts";

const { FromCallee, More, ServerStreams } = FrameFlag;

/** Metadata of one header. */
function block(name: string, value: string): Uint8Array {
  return protobuf([
    [
      1,
      [
        [1, name],
        [2, value],
      ],
    ],
  ]);
}

const one = block("a", "b");
/** Metadata of 101 bytes. */
const tooLong = block("a", "v".repeat(94));
const notMetadata = bytes(0x0a, 9, 1);
const limits = { maxMetadataBytes: 100 };

function headersFrame(id: number, payload: Uint8Array = one): Uint8Array {
  return frame({ kind: FrameKind.Headers, flags: FromCallee, requestId: id, payload });
}

/** A frame whose message comes behind metadata. */
function withMetadata(
  kind: FrameKind,
  flags: number,
  metadata: Uint8Array,
  message: Uint8Array = bytes(7),
): Uint8Array {
  const payload = joined(u32(metadata.byteLength), metadata, message);
  return frame({ kind, flags: flags | FrameFlag.Metadata, payload });
}

function responseWith(trailers: Uint8Array): Uint8Array {
  return withMetadata(FrameKind.Response, FromCallee, trailers);
}

/** Options that note what is told. */
function noted(): { readonly events: string[]; readonly terms: object } {
  const events: string[] = [];
  const note = (what: string) => (metadata: Metadata) =>
    void events.push(`${what} ${JSON.stringify(metadata)}`);
  return { events, terms: { onHeader: note("header"), onTrailer: note("trailer") } };
}

/** A call that streams to its caller. */
function openStream(peer: ReturnType<typeof scripted>, terms = {}) {
  const { connection } = peer;
  const stream = connection.openStream(
    route,
    ServerStreams,
    bytesWriter,
    bytes(1),
    bytesReader,
    bytesReader,
    terms,
  );
  stream.response.catch(() => {});
  return stream;
}

describe("a headers frame", () => {
  test("tells its call's caller at once", async () => {
    const peer = scripted();
    const { events, terms } = noted();
    const answer = peer.call(bytes(1), terms);
    await settled();

    peer.deliver(headersFrame(1));
    expect(events).toEqual([`header {"a":"b"}`]);
    peer.deliver(responseWith(block("t", "u")));
    expect(events).toEqual([`header {"a":"b"}`, `trailer {"t":"u"}`]);

    expect(await answer).toEqual(bytes(7));
  });

  test("may be of no bytes", async () => {
    const peer = scripted();
    const { events, terms } = noted();
    const answer = peer.call(bytes(1), terms);

    peer.deliver(headersFrame(1, bytes()), response(1));

    await answer;
    expect(events).toEqual(["header {}", "trailer {}"]);
  });

  const outOfPlace: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ["twice", [headersFrame(1), headersFrame(1)]],
    ["after the first message", [messageFrame(FromCallee, 1, [1]), headersFrame(1)]],
    [
      "in the middle of the first message",
      [messageFrame(FromCallee | More, 1, [2, 0, 0, 0, 1]), headersFrame(1)],
    ],
    ["after the answer", [response(1), headersFrame(1)]],
    ["after an error", [errorFrame(1, "aborted", "x"), headersFrame(1)]],
    ["for a call that was never placed", [headersFrame(9)]],
  ];
  test.each(outOfPlace)("%s is a protocol_error, and ends the connection", async (_, frames) => {
    const peer = scripted();
    openStream(peer);
    await settled();

    peer.deliver(...frames);

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
    expect(peer.transport.isClosed).toBe(true);
  });

  test("in the middle of a response is a protocol_error", async () => {
    const peer = scripted();
    const answer = rejection(peer.call(bytes(1)));
    await settled();

    peer.deliver(
      frame({
        kind: FrameKind.Response,
        flags: FromCallee | More,
        payload: joined(u32(2), bytes(1)),
      }),
      headersFrame(1),
    );

    expect((await answer).message).toBe(
      "[protocol_error] headers frame for request id 1 is out of place",
    );
  });

  test("from the caller is a protocol_error", () => {
    const peer = scripted({ handler: echo });

    peer.deliver(frame({ kind: FrameKind.Headers, payload: one }));

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
  });

  test("for a call that was given up is dropped", async () => {
    const peer = scripted();
    const { events, terms } = noted();
    const controller = new AbortController();
    const given = rejection(peer.call(bytes(1), { ...terms, signal: controller.signal }));
    await settled();
    controller.abort();

    peer.deliver(headersFrame(1), headersFrame(1), responseWith(one));

    expect((await given).code).toBe("cancelled");
    expect(events).toEqual([]);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("of more than maxMetadataBytes ends its call with resource_exhausted, and no other", async () => {
    const peer = scripted({ limits });
    const { events, terms } = noted();
    const [first, second] = [rejection(peer.call(bytes(1), terms)), peer.call(bytes(2))];
    await peer.sent();

    peer.deliver(headersFrame(1, tooLong));

    expect((await first).message).toBe(
      "[resource_exhausted] response headers of test.Echo.Echo have 101 bytes, more than maxMetadataBytes 100",
    );
    expect((await peer.sent()).map(({ kind, requestId }) => [kind, requestId])).toEqual([
      [FrameKind.Cancel, 1],
    ]);
    peer.deliver(response(1), response(2, [5]));
    expect(await second).toEqual(bytes(5));
    expect(events).toEqual([]);
    expect(peer.connection.idCount).toBe(0);
  });
});

describe("what a callback throws", () => {
  for (const callback of ["onHeader", "onTrailer"] as const) {
    test(`from ${callback} gives the call up, and the connection goes on`, async () => {
      const peer = scripted();
      const terms = {
        [callback]: () => {
          throw new PlugError("aborted", "no");
        },
      };
      const failed = rejection(peer.call(bytes(1), terms));
      const other = peer.call(bytes(2));
      await settled();

      peer.deliver(headersFrame(1), response(1), response(2, [5]));

      expect((await failed).message).toBe("[aborted] no");
      expect(await other).toEqual(bytes(5));
      expect(peer.connection.idCount).toBe(0);
      expect(peer.connection.closeReason).toBeUndefined();
    });
  }

  test("from onHeader stops the messages of a stream", async () => {
    const peer = scripted();
    const { receiver } = openStream(peer, {
      onHeader() {
        throw new Error("no");
      },
    });
    await peer.sent();

    peer.deliver(headersFrame(1));

    expect((await rejection(receiver!.next())).rawMessage).toBe("no");
    expect((await peer.sent()).map(({ kind }) => kind)).toEqual([FrameKind.Cancel]);
  });
});

describe("metadata that is none is a protocol_error, and ends the connection:", () => {
  test.each([
    ["headers", headersFrame(1, notMetadata)],
    ["trailers of a response", responseWith(notMetadata)],
    ["trailers of an error", withMetadata(FrameKind.Error, FromCallee, notMetadata)],
    [
      "trailers that are longer than their frame",
      frame({
        kind: FrameKind.Response,
        flags: FromCallee | FrameFlag.Metadata,
        payload: joined(u32(9), one),
      }),
    ],
    [
      "trailers of less than their length",
      frame({
        kind: FrameKind.Response,
        flags: FromCallee | FrameFlag.Metadata,
        payload: bytes(1, 0),
      }),
    ],
  ])("%s", async (_, answer) => {
    const peer = scripted();
    const failed = rejection(peer.call(bytes(1)));
    await settled();

    peer.deliver(answer);

    expect((await failed).code).toBe("protocol_error");
    expect(peer.connection.closeReason?.code).toBe("protocol_error");
  });

  test.each([
    ["a request's headers", withMetadata(FrameKind.Request, 0, notMetadata)],
    ["a request's headers with a line end", withMetadata(FrameKind.Request, 0, block("a", "\n"))],
    [
      "a request's headers that are longer than their frame",
      frame({ kind: FrameKind.Request, flags: FrameFlag.Metadata, payload: u32(0xffff_ffff) }),
    ],
    [
      "a request's headers of less than their length",
      frame({ kind: FrameKind.Request, flags: FrameFlag.Metadata, payload: bytes(1, 0, 0) }),
    ],
    [
      "metadata on a message",
      frame({ kind: FrameKind.Message, flags: FrameFlag.Metadata, payload: joined(u32(8), one) }),
    ],
  ])("%s", (_, asked) => {
    const peer = scripted({ handler: echo });

    peer.deliver(asked);

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
  });
});

describe("a request's headers", () => {
  function seeing() {
    const seen: string[] = [];
    const handler: CallHandler = {
      handle(call, buffer, from, to) {
        seen.push(JSON.stringify(call.requestHeaders));
        call.respond(bytesWriter, buffer.slice(from, to));
      },
    };
    return { seen, handler };
  }

  test("of maxMetadataBytes are taken, and those of one byte more are answered with resource_exhausted", async () => {
    const { seen, handler } = seeing();
    const peer = scripted({ limits, handler });
    const fits = block("a", "v".repeat(93));

    peer.deliver(
      withMetadata(FrameKind.Request, 0, tooLong),
      withMetadata(FrameKind.Request, 0, fits),
    );

    const [refused, answered] = await peer.sent();
    const error = decodeError(refused!.payload);
    expect([fits.byteLength, tooLong.byteLength]).toEqual([100, 101]);
    expect(error.message).toBe(
      "[resource_exhausted] the request's headers have 101 bytes, more than maxMetadataBytes 100",
    );
    expect([answered?.kind, answered?.payload]).toEqual([FrameKind.Response, bytes(7)]);
    expect(seen).toEqual([JSON.stringify({ a: "v".repeat(93) })]);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  // What comes in pieces behind them is on its way, and is dropped.
  test("that are too long may lead a message in pieces", async () => {
    const { seen, handler } = seeing();
    const peer = scripted({ limits, handler });
    const payload = joined(u32(2), u32(tooLong.byteLength), tooLong, bytes(1));

    peer.deliver(
      frame({ kind: FrameKind.Request, flags: More | FrameFlag.Metadata, payload }),
      frame({ kind: FrameKind.Continue, payload: [2] }),
      request(1, [3]),
    );

    const sent = await peer.sent();
    expect(sent.map(({ kind }) => kind)).toEqual([FrameKind.Error, FrameKind.Response]);
    expect(peer.connection.incomingCount).toBe(0);
    expect(seen).toEqual(["{}"]);
  });

  test("that are not metadata are not read where they are too long", async () => {
    const peer = scripted({ limits, handler: echo });

    peer.deliver(withMetadata(FrameKind.Request, 0, new Uint8Array(101).fill(0xff)));

    expect((await peer.sent()).map(({ kind }) => kind)).toEqual([FrameKind.Error]);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("come behind length, deadline and object id, and before the message", async () => {
    const seen: unknown[] = [];
    const peer = scripted({
      handler: {
        handle(call, buffer, from, to) {
          const { objectId, methodId, timeoutMs = 0 } = call;
          seen.push([objectId, methodId, timeoutMs > 0, JSON.stringify(call.requestHeaders)]);
          seen.push([...buffer.slice(from, to)]);
          call.respond(emptyWriter, undefined);
        },
      },
    });
    const prefix = joined(u32(60_000), u32(7), u32(one.byteLength), one);
    const flags = FrameFlag.Deadline | FrameFlag.Metadata;
    const fields = { kind: FrameKind.Request, methodId: 0x8003 };

    peer.deliver(
      frame({ ...fields, flags, payload: joined(prefix, bytes(1, 2)) }),
      frame({ ...fields, flags: flags | More, payload: joined(u32(2), prefix, bytes(1)) }),
      frame({ kind: FrameKind.Continue, payload: [2] }),
    );

    const head = [7, 3, true, `{"a":"b"}`];
    expect(seen).toEqual([head, [1, 2], head, [1, 2]]);
  });
});

describe("a handler's metadata", () => {
  test("costs no frame and no flag where there is none", async () => {
    const peer = scripted({
      handler: {
        handle(call) {
          // Asked for, and left empty.
          expect([call.responseHeaders.size, call.responseTrailers.size]).toEqual([0, 0]);
          call.respond(bytesWriter, bytes(5));
        },
      },
    });

    peer.deliver(request(1));

    const flags = FromCallee;
    expect(await peer.sent()).toEqual([
      { kind: FrameKind.Response, flags, methodId: 0, requestId: 1, payload: bytes(5) },
    ]);
  });

  test("goes out as a headers frame and before the message of the answer", async () => {
    const peer = scripted({
      handler: {
        handle(call) {
          call.responseHeaders.set("a", "b");
          call.responseTrailers.set("a", "b");
          if (call.id === 1) call.respond(bytesWriter, bytes(5));
          else call.fail(new PlugError("aborted", "x"));
        },
      },
    });

    peer.deliver(request(1), request(2));

    const sent = await peer.sent();
    expect(sent.map(({ kind, flags }) => [kind, flags])).toEqual([
      [FrameKind.Headers, FromCallee],
      [FrameKind.Response, FromCallee | FrameFlag.Metadata],
      [FrameKind.Headers, FromCallee],
      [FrameKind.Error, FromCallee | FrameFlag.Metadata],
    ]);
    expect(sent[0]?.payload).toEqual(new Uint8Array(one));
    expect(sent[1]?.payload).toEqual(joined(u32(8), one, bytes(5)));
    expect(decodeError(sent[3]!.payload.subarray(12)).message).toBe("[aborted] x");
  });
});

test.each([
  ["a response", FrameKind.Response],
  ["an error", FrameKind.Error],
] as const)(
  "trailers of more than maxMetadataBytes in an answer that is %s end their call with resource_exhausted, and no other",
  async (_, kind) => {
    const peer = scripted({ limits: { maxMetadataBytes: 100 } });
    const events: string[] = [];
    const failed = rejection(peer.call(bytes(1), { onTrailer: () => void events.push("trailer") }));
    const other = peer.call(bytes(2));
    await settled();

    peer.deliver(
      frame({
        kind,
        flags: FrameFlag.FromCallee | FrameFlag.Metadata,
        payload: joined(u32(101), tooLong, encodeError(new PlugError("aborted", "x"))),
      }),
      response(2, [5]),
    );

    expect((await failed).message).toBe(
      "[resource_exhausted] trailers of test.Echo.Echo have 101 bytes, more than maxMetadataBytes 100",
    );
    expect(await other).toEqual(bytes(5));
    expect(events).toEqual([]);
    expect(peer.connection.idCount).toBe(0);
  },
);
