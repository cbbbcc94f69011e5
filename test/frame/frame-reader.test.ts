import { describe, expect, test } from "bun:test";

import { isPlugError } from "bun-plug";
import fc from "fast-check";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { FrameReader } from "../../src/frame/frame-reader.ts";
import { byteByByte, cutsInTwo, joined, randomCuts } from "../support/cuts.ts";
import { frame, frameHeaderBytes, type TestFrame } from "../support/frames.ts";
import { patternBytes, seeded } from "../support/random.ts";
import { thrown } from "../support/rejection.ts";

const limitBytes = 1024;

interface Seen extends TestFrame {
  readonly buffer: Uint8Array;
}

function newReader(maxPayloadBytes = limitBytes): { reader: FrameReader; seen: Seen[] } {
  const seen: Seen[] = [];
  const reader = new FrameReader(maxPayloadBytes, {
    frame(kind, flags, methodId, requestId, buffer, from, to) {
      const payload = buffer.slice(from, to);
      seen.push({ kind, flags, methodId, requestId, payload, buffer });
    },
  });
  return { reader, seen };
}

function read(chunks: readonly Uint8Array[], maxPayloadBytes?: number): TestFrame[] {
  const { reader, seen } = newReader(maxPayloadBytes);
  for (const chunk of chunks) reader.push(chunk, 0, chunk.byteLength);
  return seen.map(({ buffer: _, ...rest }) => rest);
}

// One of everything: each kind, payloads of no bytes, of one, and of as many as are allowed.
const recorded: readonly TestFrame[] = [
  [FrameKind.Request, 0, 7, 1, 0],
  [FrameKind.Request, FrameFlag.Deadline, 0xffff, 0xffff_ffff, 4],
  [FrameKind.Response, FrameFlag.FromCallee, 0, 2, 1],
  [FrameKind.Response, FrameFlag.FromCallee | FrameFlag.More, 0, 0x10_0001, 300],
  [FrameKind.Continue, FrameFlag.FromCallee, 0, 0x10_0001, limitBytes],
  [FrameKind.Error, FrameFlag.FromCallee, 0, 3, 17],
  [FrameKind.Cancel, 0, 0, 4, 0],
  [FrameKind.Request, FrameFlag.Metadata | FrameFlag.Nested, 0x8001, 5, 40],
  [FrameKind.Message, FrameFlag.More, 0, 6, 30],
  [FrameKind.End, 0, 0, 6, 0],
  [FrameKind.Credit, FrameFlag.FromCallee, 0, 6, 4],
  [FrameKind.Headers, FrameFlag.FromCallee, 0, 6, 21],
  [FrameKind.Ping, 0, 0, 7, 0],
  [FrameKind.Pong, FrameFlag.Ignorable, 0, 0xffff_ffff, 0],
  [FrameKind.GoAway, 0, 0, 0, 16],
  [FrameKind.Service, 0, 0, 0, 19],
  [FrameKind.Release, 0, 0, 0, 4],
].map(([kind, flags, methodId, requestId, payloadBytes], i) => ({
  kind: kind as number,
  flags: flags as number,
  methodId: methodId as number,
  requestId: requestId as number,
  payload: patternBytes(payloadBytes as number, i),
}));
const recordedBytes = joined(...recorded.map((fields) => frame(fields)));

test("what is recorded here has a frame of each kind", () => {
  expect([...new Set(recorded.map(({ kind }) => kind))].sort((a, b) => a - b)).toEqual(
    Object.values(FrameKind),
  );
});

describe("FrameReader.push", () => {
  test("hands on all frames of one chunk, in order", () => {
    expect(read([recordedBytes])).toEqual([...recorded]);
  });

  // The bug class of every framing layer: it works until a read ends within a header.
  test("finds the same frames at every way of cutting the stream in two", () => {
    for (const [left, right] of cutsInTwo(recordedBytes)) {
      expect(read([left, right])).toEqual([...recorded]);
    }
  });

  test("finds the same frames byte by byte", () => {
    expect(read(byteByByte(recordedBytes))).toEqual([...recorded]);
  });

  test("finds the same frames at 2,000 random ways of cutting the stream", () => {
    const random = seeded(1);
    for (let i = 0; i < 2_000; i++) {
      const chunks = randomCuts(recordedBytes, random, 1 + random(400));
      expect(read(chunks)).toEqual([...recorded]);
    }
  });

  test("takes the part of a chunk that it is told to", () => {
    const { reader, seen } = newReader();
    const chunk = joined(patternBytes(5), recordedBytes, patternBytes(9));

    reader.push(chunk, 5, 5 + recordedBytes.byteLength);

    expect(seen).toHaveLength(recorded.length);
    expect(reader.heldBytes).toBe(0);
  });

  test("hands on 10,000 frames of one chunk", () => {
    const one = frame({ payload: [1, 2, 3] });
    const chunk = new Uint8Array(Buffer.concat(Array.from({ length: 10_000 }, () => one)));

    expect(read([chunk])).toHaveLength(10_000);
  });

  test("hands on views, not copies, of frames that lie in one chunk", () => {
    const { reader, seen } = newReader();

    reader.push(recordedBytes, 0, recordedBytes.byteLength);

    expect(seen.map(({ buffer }) => buffer === recordedBytes)).toEqual(recorded.map(() => true));
  });

  test("copies only the frame that straddles two chunks", () => {
    const { reader, seen } = newReader();
    const one = frame({ payload: patternBytes(40) });
    const stream = joined(one, one, one);
    const cut = one.byteLength + 20;
    const [left, right] = [stream.slice(0, cut), stream.slice(cut)];

    reader.push(left, 0, left.byteLength);
    reader.push(right, 0, right.byteLength);

    expect(seen.map(({ buffer }) => buffer === left || buffer === right)).toEqual([
      true,
      false,
      true,
    ]);
  });

  test("holds what has come of an unfinished frame, and nothing else", () => {
    const { reader } = newReader();
    const one = frame({ payload: patternBytes(500) });

    reader.push(joined(one, one.subarray(0, 100)), 0, one.byteLength + 100);
    const heldBytes = reader.heldBytes;
    reader.push(one, 100, one.byteLength);

    expect([heldBytes, reader.heldBytes]).toEqual([100, 0]);
  });

  test("skips a kind that it does not know if the frame is marked ignorable", () => {
    const unknown = frame({ kind: 200, flags: FrameFlag.Ignorable, payload: [1, 2, 3] });
    const known = frame({ requestId: 9 });

    for (const [left, right] of cutsInTwo(joined(unknown, known))) {
      expect(read([left, right]).map(({ requestId }) => requestId)).toEqual([9]);
    }
  });

  const faults: readonly [string, Uint8Array, string][] = [
    ["an unknown kind, named", frame({ kind: 200 }), "frame kind 200 is unknown"],
    ["kind 0", frame({ kind: 0 }), "is unknown"],
    [
      "flags that the kind may not have",
      frame({ flags: 0x06 }),
      "request frame has flags 0x2, which",
    ],
    [
      "flags that the kind must have, and has not",
      frame({ kind: FrameKind.Error }),
      "error frame lacks flags 0x2",
    ],
    [
      "a payload of one byte more than the limit, with both numbers",
      frame({ kind: FrameKind.Response, flags: FrameFlag.FromCallee, payloadBytes: 1025 }),
      "response frame announces a payload of 1025 bytes, more than 1024",
    ],
    ["a payload of 4 GiB", frame({ payloadBytes: 0xffff_ffff }), "4294967295 bytes"],
    [
      "an ignorable frame over the limit",
      frame({ kind: 200, flags: FrameFlag.Ignorable, payloadBytes: 1025 }),
      "1025 bytes",
    ],
  ];
  test.each(faults)("throws protocol_error for %s", (_, header, message) => {
    const { reader, seen } = newReader();

    const error = thrown(() => reader.push(header, 0, header.byteLength));

    expect(error.code).toBe("protocol_error");
    expect(error.message).toContain(message);
    expect(seen).toEqual([]);
  });

  test("throws protocol_error as soon as the header is there, however it was cut", () => {
    const header = frame({ payloadBytes: limitBytes + 1 });
    for (let cut = 0; cut < frameHeaderBytes; cut++) {
      const { reader } = newReader();
      reader.push(header, 0, cut);

      expect(thrown(() => reader.push(header, cut, frameHeaderBytes)).code).toBe("protocol_error");
    }
  });

  test("hands on the frames before a fault, and none behind it", () => {
    const { reader, seen } = newReader();
    const chunk = joined(frame({ requestId: 5 }), frame({ kind: 77 }), frame({ requestId: 6 }));

    thrown(() => reader.push(chunk, 0, chunk.byteLength));

    expect(seen.map(({ requestId }) => requestId)).toEqual([5]);
  });

  test("is dead after a fault: each further push throws protocol_error", () => {
    const { reader, seen } = newReader();
    const bad = frame({ kind: 77 });
    const good = frame({});
    thrown(() => reader.push(bad, 0, bad.byteLength));

    const errors = [1, 2].map(() => thrown(() => reader.push(good, 0, good.byteLength)));

    expect(errors.map(({ code }) => code)).toEqual(["protocol_error", "protocol_error"]);
    expect(seen).toEqual([]);
  });
});

// Bytes of a stream that is right but for a few of them, so that the fuzz gets past the header.
const almostFrames = fc
  .tuple(
    fc.array(
      fc.record({
        kind: fc.integer({ min: 0, max: 15 }),
        flags: fc.constantFrom(0, 0, 0, 1, 2, 2, 4, 0x80, 0x82, 0x83, 0x10, 0x20, 0x22, 0x40, 0x64),
        payloadBytes: fc.oneof(
          fc.integer({ min: 0, max: limitBytes + 1 }),
          fc.constant(0xffff_ffff),
        ),
        payload: fc.uint8Array({ maxLength: 64 }),
      }),
      { maxLength: 8 },
    ),
    fc.boolean(),
  )
  .map(([fields, isHonest]) =>
    joined(
      ...fields.map(({ payloadBytes, ...rest }) =>
        frame(isHonest ? rest : { ...rest, payloadBytes }),
      ),
    ),
  );

describe("FrameReader, fed any bytes in any pieces,", () => {
  test("throws nothing but protocol_error, and holds no more than one frame", () => {
    const stream = fc.oneof(fc.uint8Array({ maxLength: 600 }), almostFrames);
    fc.assert(
      fc.property(stream, fc.integer({ min: 1, max: 200 }), fc.integer(), (bytes, max, seed) => {
        const { reader } = newReader();
        const errors: unknown[] = [];
        let mostHeldBytes = 0;
        for (const chunk of randomCuts(bytes, seeded(seed), max)) {
          try {
            reader.push(chunk, 0, chunk.byteLength);
          } catch (error) {
            errors.push(error);
          }
          mostHeldBytes = Math.max(mostHeldBytes, reader.heldBytes);
        }
        const codes = errors.map((error) => (isPlugError(error) ? error.code : error));
        expect(codes.filter((code) => code !== "protocol_error")).toEqual([]);
        expect(mostHeldBytes).toBeLessThanOrEqual(frameHeaderBytes + limitBytes);
      }),
      { numRuns: 5_000, seed: 2 },
    );
  });

  test("finds the same frames, and the same fault, however the stream is cut", () => {
    function outcome(chunks: readonly Uint8Array[]): unknown {
      const { reader, seen } = newReader();
      let fault: unknown;
      try {
        for (const chunk of chunks) reader.push(chunk, 0, chunk.byteLength);
      } catch (error) {
        fault = (error as Error).message;
      }
      return { fault, seen: seen.map(({ buffer: _, ...rest }) => rest) };
    }
    fc.assert(
      fc.property(almostFrames, fc.integer({ min: 1, max: 100 }), fc.integer(), (bytes, max, s) => {
        expect(outcome(randomCuts(bytes, seeded(s), max))).toEqual(outcome([bytes]));
      }),
      { numRuns: 3_000, seed: 3 },
    );
  });
});

describe("the payload of a continue frame that straddles chunks", () => {
  const { Continue, Ping } = FrameKind;
  const piece = patternBytes(5_000, 8);
  const stream = joined(
    frame({ kind: Continue, flags: FrameFlag.FromCallee, requestId: 3, payload: piece }),
    frame({ kind: Ping, requestId: 9 }),
  );

  function withRoom() {
    const room = new Uint8Array(piece.byteLength);
    const asked: unknown[] = [];
    const seen: { readonly kind: number; readonly buffer: Uint8Array; readonly to: number }[] = [];
    const reader = new FrameReader(
      64 * 1024,
      {
        frame: (kind, _flags, _methodId, _requestId, buffer, _from, to) =>
          void seen.push({ kind, buffer, to }),
      },
      {
        isExpecting: true,
        roomFor(requestId, isFromCallee, byteCount) {
          asked.push([requestId, isFromCallee, byteCount]);
          return room;
        },
      },
    );
    return { reader, room, asked, seen };
  }

  test("goes to where its message is put together, wherever it is cut", () => {
    for (const at of [1, frameHeaderBytes, frameHeaderBytes + 1, 3_000, 5_000, 5_011]) {
      const { reader, room, asked, seen } = withRoom();
      reader.push(stream, 0, at);
      reader.push(stream, at, stream.byteLength);

      expect(seen.map(({ kind }) => kind)).toEqual([Continue, Ping]);
      // One that has come whole behind its header stays where it is.
      if (at < frameHeaderBytes) continue;
      expect(asked).toEqual([[3, true, 5_000]]);
      expect([seen[0]?.buffer, seen[0]?.to]).toEqual([room, 5_000]);
      expect(Buffer.compare(room, piece)).toBe(0);
    }
  });

  test("may be put there by who has it: what is wanted is the rest", () => {
    const { reader, room, seen } = withRoom();
    reader.push(stream, 0, 500);
    for (let at = 500; at < 4_500; at += 1_000) {
      const wanted = reader.wanted as Uint8Array;
      expect([wanted.buffer, wanted.byteOffset]).toEqual([room.buffer, at - frameHeaderBytes]);
      wanted.set(stream.subarray(at, at + 1_000));
      reader.push(wanted, 0, 1_000);
    }
    // The rest is so little that it comes with what is behind it.
    expect([reader.wanted?.byteLength, seen]).toEqual([0, []]);
    reader.push(stream, 4_500, stream.byteLength);

    expect(seen.map(({ kind }) => kind)).toEqual([Continue, Ping]);
    expect(Buffer.compare(room, piece)).toBe(0);
  });
});
