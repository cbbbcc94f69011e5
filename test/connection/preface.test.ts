// What comes before a message: its whole length, time left, object and metadata, all in one frame.

import { describe, expect, test } from "bun:test";

import type { CallTerms } from "../../src/call/outgoing-call.ts";
import { decodeError } from "../../src/frame/error-payload.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { encodePreface } from "../../src/frame/preface.ts";
import { encodeMetadata } from "../../src/metadata/metadata-block.ts";
import { Metadata } from "../../src/metadata/metadata.ts";
import { pair, scripted } from "../support/connections.ts";
import { cutsInTwo, joined } from "../support/cuts.ts";
import { turnsUntil } from "../support/fake-transport.ts";
import { frame, maxFramePayloadBytes, request, type TestFrame, u32 } from "../support/frames.ts";
import { bytes, bytesReader, bytesWriter, KeepingHandler, route } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";

const { Deadline, FromCallee, More } = FrameFlag;
const WithMetadata = FrameFlag.Metadata;
const objectMethods = 0x8000;

const headers = { name: "value", "raw-bin": bytes(0, 255, 10) };
const block = encodeMetadata(new Metadata(headers), 1_000, "headers");
const metadataBytes = 4 + block.byteLength;

interface Case {
  readonly objectId: number;
  readonly hasDeadline: boolean;
  readonly hasHeaders: boolean;
}

// All eight of them.
const cases: Case[] = [0, 7].flatMap((objectId) =>
  [false, true].flatMap((hasDeadline) =>
    [false, true].map((hasHeaders) => ({ objectId, hasDeadline, hasHeaders })),
  ),
);

function prefixBytesOf({ objectId, hasDeadline, hasHeaders }: Case): number {
  return (hasDeadline ? 4 : 0) + (objectId === 0 ? 0 : 4) + (hasHeaders ? metadataBytes : 0);
}

function nameOf({ objectId, hasDeadline, hasHeaders }: Case): string {
  const parts = [
    ...(hasDeadline ? ["a deadline"] : []),
    ...(objectId === 0 ? [] : ["an object"]),
    ...(hasHeaders ? ["metadata"] : []),
  ];
  return parts.join(", ") || "nothing";
}

const named = cases.map((each) => [nameOf(each), each] as const);

function termsOf({ hasDeadline, hasHeaders }: Case): CallTerms {
  return {
    timeoutMs: hasDeadline ? 60_000 : undefined,
    headers: hasHeaders ? headers : undefined,
  };
}

describe("a request with", () => {
  test.each(named)("%s fills one frame exactly, and one byte more makes two", async (_, each) => {
    const { objectId, hasDeadline, hasHeaders } = each;
    const peer = scripted();
    const fitting = maxFramePayloadBytes - prefixBytesOf(each);
    const messages = [patternBytes(fitting), patternBytes(fitting + 1)];
    const to = { ...route, methodId: 3, objectId };
    for (const message of messages) {
      const result = peer.connection.call(to, bytesWriter, message, bytesReader, termsOf(each));
      result.catch(() => {});
    }

    const [whole, first, last] = (await peer.sent()) as [TestFrame, TestFrame, TestFrame];

    const flags = (hasDeadline ? Deadline : 0) | (hasHeaders ? WithMetadata : 0);
    const methodId = objectId === 0 ? 3 : 3 | objectMethods;
    expect([whole.flags, whole.methodId, whole.payload.byteLength]).toEqual([
      flags,
      methodId,
      maxFramePayloadBytes,
    ]);
    expect([first.flags, first.methodId, first.payload.byteLength]).toEqual([
      flags | More,
      methodId,
      maxFramePayloadBytes,
    ]);
    expect([last.kind, last.flags, last.methodId]).toEqual([FrameKind.Continue, 0, 0]);
    expect(last.payload.byteLength).toBe(4 + 1);
    expect(first.payload.subarray(0, 4)).toEqual(u32(fitting + 1));
    for (const [i, payload] of [whole.payload, first.payload.subarray(4)].entries()) {
      let at = hasDeadline ? 4 : 0;
      if (objectId > 0) expect(payload.subarray(at, (at += 4))).toEqual(u32(objectId));
      if (hasHeaders) {
        expect(payload.subarray(at, (at += metadataBytes))).toEqual(
          joined(u32(block.byteLength), block),
        );
      }
      const message = i === 0 ? payload.subarray(at) : joined(payload.subarray(at), last.payload);
      expect(Buffer.compare(message, messages[i] as Uint8Array)).toBe(0);
    }
  });

  test.each(named)("%s arrives as it was sent, whole and in pieces", async (_, each) => {
    const handler = new KeepingHandler();
    const { host } = pair({ handler });
    const fitting = maxFramePayloadBytes - prefixBytesOf(each);
    const messages = [0, 1, fitting, fitting + 1, 200_000].map((count) => patternBytes(count));
    const to = { ...route, methodId: 5, objectId: each.objectId };
    for (const message of messages) {
      const answer = host.call(to, bytesWriter, message, bytesReader, termsOf(each));
      const count = handler.calls.length;
      await turnsUntil("the call has come", () => handler.calls.length > count);
      const { call, request: sent } = handler.calls.at(-1) as KeepingHandler["calls"][0];
      expect(Buffer.compare(sent, message)).toBe(0);
      expect([call.methodId, call.objectId]).toEqual([5, each.objectId]);
      expect(call.requestHeaders.toJSON()).toEqual(each.hasHeaders ? headers : {});
      if (each.hasDeadline) expect(call.timeoutMs).toBeGreaterThan(50_000);
      else expect(call.timeoutMs).toBeUndefined();
      call.respond(bytesWriter, bytes(1));
      await answer;
    }
  });
});

describe("an answer with trailers", () => {
  const fitting = maxFramePayloadBytes - metadataBytes;

  test.each([fitting - 1, fitting, fitting + 1, 200_000])(
    "and %d bytes brings both, in as few frames as there can be",
    async (byteCount) => {
      const handler = new KeepingHandler();
      const peer = scripted({ handler });
      peer.deliver(request(1));
      const { call } = handler.calls[0] as KeepingHandler["calls"][0];
      for (const [name, value] of Object.entries(headers)) call.responseTrailers.set(name, value);
      const answer = patternBytes(byteCount);

      call.respond(bytesWriter, answer);

      const frames = await peer.sent();
      const [first, ...rest] = frames as [TestFrame, ...TestFrame[]];
      const isSplit = byteCount > fitting;
      expect(first.flags).toBe(FromCallee | WithMetadata | (isSplit ? More : 0));
      const payload = isSplit ? first.payload.subarray(4) : first.payload;
      if (isSplit) expect(first.payload.subarray(0, 4)).toEqual(u32(byteCount));
      expect(payload.subarray(0, metadataBytes)).toEqual(joined(u32(block.byteLength), block));
      const pieces = rest.map((each) => each.payload);
      expect(Buffer.compare(joined(payload.subarray(metadataBytes), ...pieces), answer)).toBe(0);
      expect(rest.every(({ flags }) => (flags & ~More) === FromCallee)).toBe(true);
    },
  );

  test.each([fitting, fitting + 1])("and %d bytes is read back", async (byteCount) => {
    const peer = scripted();
    const answer = patternBytes(byteCount);
    let trailers: Metadata | undefined;
    const result = peer.call(bytes(), { onTrailer: (told) => (trailers = told) });
    const isSplit = byteCount > fitting;
    const preface = encodePreface(0, block) as Uint8Array;
    const flags = FromCallee | WithMetadata | (isSplit ? More : 0);
    const first = joined(...(isSplit ? [u32(byteCount)] : []), preface, answer);

    peer.deliver(
      frame({ kind: FrameKind.Response, flags, payload: first.subarray(0, maxFramePayloadBytes) }),
    );
    if (isSplit) {
      const payload = first.subarray(maxFramePayloadBytes);
      peer.deliver(frame({ kind: FrameKind.Continue, flags: FromCallee, payload }));
    }

    expect(Buffer.compare(await result, answer)).toBe(0);
    expect(trailers?.toJSON()).toEqual(headers);
  });

  test("that is an error has them before the error", async () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.deliver(request(1));
    const { call } = handler.calls[0] as KeepingHandler["calls"][0];
    for (const [name, value] of Object.entries(headers)) call.responseTrailers.set(name, value);

    call.fail(new Error("no"));

    const [sent] = (await peer.sent()) as [TestFrame];
    expect([sent.kind, sent.flags]).toEqual([FrameKind.Error, FromCallee | WithMetadata]);
    expect(sent.payload.subarray(0, metadataBytes)).toEqual(joined(u32(block.byteLength), block));
    expect(decodeError(sent.payload.subarray(metadataBytes)).rawMessage).toBe("no");
  });
});

describe("a request whose payload breaks off", () => {
  const full = joined(u32(70_000), u32(500), u32(7), u32(block.byteLength), block, bytes(1, 2, 3));
  const flags = More | Deadline | WithMetadata;
  const messageAt = full.byteLength - 3;

  // Nowhere does it read what is not there, and nowhere does it take a part for the whole.
  test("anywhere before its message ends the connection with protocol_error", () => {
    for (const [payload] of cutsInTwo(full)) {
      const handler = new KeepingHandler();
      const peer = scripted({ handler });

      peer.deliver(frame({ flags, methodId: objectMethods, payload }));

      const { closeReason, incomingCount } = peer.connection;
      const isWhole = payload.byteLength >= messageAt;
      expect([payload.byteLength, closeReason?.code]).toEqual([
        payload.byteLength,
        isWhole ? undefined : "protocol_error",
      ]);
      expect(incomingCount).toBe(isWhole ? 1 : 0);
    }
  });

  const lies: readonly [string, Uint8Array, number, string][] = [
    ["object id 0", u32(0), 0, "request 1 has object id 0"],
    ["metadata of 4 GiB", joined(u32(7), u32(0xffff_ffff)), WithMetadata, "longer than its frame"],
    [
      "metadata one byte too long",
      joined(u32(7), u32(3), bytes(1, 2)),
      WithMetadata,
      "longer than",
    ],
    [
      "metadata that is none",
      joined(u32(7), u32(2), bytes(0x0a, 9)),
      WithMetadata,
      "cannot be read",
    ],
  ];
  test.each(lies)("or says %s ends it, too", (_, payload, extraFlags, text) => {
    const peer = scripted({ handler: new KeepingHandler() });

    peer.deliver(frame({ flags: extraFlags, methodId: objectMethods, payload }));

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
    expect(peer.connection.closeReason?.message).toContain(text);
  });

  test("a request of no metadata's bytes is one without metadata", () => {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });

    peer.deliver(frame({ flags: WithMetadata, payload: joined(u32(0), bytes(5)) }));

    expect(handler.calls[0]?.request).toEqual(bytes(5));
    expect(handler.calls[0]?.call.requestHeaders.size).toBe(0);
  });
});

describe("encodePreface", () => {
  test("is nothing where there is nothing to say", () => {
    expect(encodePreface(0, undefined)).toBeUndefined();
    expect(encodePreface(0, new Uint8Array(0))).toBeUndefined();
  });

  test("has the object before the metadata's length, and that before the metadata", () => {
    expect(encodePreface(0x01020304, bytes(9, 8))?.toHex()).toBe("04030201" + "02000000" + "0908");
    expect(encodePreface(5, undefined)?.toHex()).toBe("05000000");
    expect(encodePreface(5, new Uint8Array(0))?.toHex()).toBe("05000000");
    expect(encodePreface(0, bytes(7))?.toHex()).toBe("01000000" + "07");
  });
});
