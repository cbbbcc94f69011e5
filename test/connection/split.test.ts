// Messages that are longer than a frame.

import { heapStats } from "bun:jsc";

import { describe, expect, test } from "bun:test";

import { blocked } from "../../src/call/blocked.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { PartialBytes } from "../../src/connection/partial-bytes.ts";
import { Reassembly } from "../../src/connection/reassembly.ts";
import { call, pair, scripted } from "../support/connections.ts";
import { joined } from "../support/cuts.ts";
import { turnsUntil } from "../support/fake-transport.ts";
import {
  frame,
  maxFramePayloadBytes,
  response,
  split,
  type TestFrame,
  u32,
} from "../support/frames.ts";
import { bytes, bytesWriter, echo, KeepingHandler } from "../support/payloads.ts";
import { patternBytes, seeded, shuffled } from "../support/random.ts";
import { thrown } from "../support/rejection.ts";

const mib = 1024 * 1024;
const limits = { maxMessageBytes: 16 * mib };

/** The message that these frames carry. */
function message(frames: readonly TestFrame[]): Uint8Array {
  const [first, ...rest] = frames as [TestFrame, ...TestFrame[]];
  return joined(first.payload.subarray(4), ...rest.map(({ payload }) => payload));
}

describe("a message of more than 64 KiB", () => {
  test("goes out as frames of at most 64 KiB, the first of which says how long it is", async () => {
    const peer = scripted();
    const request = patternBytes(200_000);
    void peer.call(request);

    const sent = await peer.sent();

    expect(sent.map(({ kind, flags }) => [kind, flags])).toEqual([
      [FrameKind.Request, FrameFlag.More],
      [FrameKind.Continue, FrameFlag.More],
      [FrameKind.Continue, FrameFlag.More],
      [FrameKind.Continue, 0],
    ]);
    expect(Math.max(...sent.map(({ payload }) => payload.byteLength))).toBe(maxFramePayloadBytes);
    expect(sent[0]?.payload.subarray(0, 4)).toEqual(u32(200_000));
    expect(message(sent)).toEqual(request);
  });

  test("has its deadline behind its length", async () => {
    const peer = scripted();
    const request = patternBytes(100_000);
    void peer.call(request, { timeoutMs: 60_000 });

    const [first, second] = (await peer.sent()) as [TestFrame, TestFrame];

    expect(first.flags).toBe(FrameFlag.More | FrameFlag.Deadline);
    expect(first.payload.subarray(0, 4)).toEqual(u32(100_000));
    const leftMs = new DataView(first.payload.buffer).getUint32(4, true);
    expect(leftMs).toBeGreaterThan(50_000);
    expect(leftMs).toBeLessThanOrEqual(60_000);
    expect(joined(first.payload.subarray(8), second.payload)).toEqual(request);
    peer.deliver(response(1));
  });

  test.each([65_532, 65_536, 65_537, 131_068, 131_069, 1_000_000])(
    "of %d bytes arrives equal, both ways, with a deadline and without",
    async (byteCount) => {
      const { host, plugin } = pair({ handler: echo });
      const request = patternBytes(byteCount);

      const answers = await Promise.all([
        call(host, request),
        call(host, request, { timeoutMs: 60_000 }),
      ]);

      expect(answers.map((answer) => Buffer.compare(answer, request))).toEqual([0, 0]);
      expect([host.inFlightCount, plugin.incomingCount, host.deadlineCount]).toEqual([0, 0, 0]);
    },
  );

  test("takes turns with others, and all arrive equal", async () => {
    const { host } = pair({ handler: echo, limits });
    const requests = Array.from({ length: 20 }, (_, i) => patternBytes(50_000 + i * 77_777, i));

    const answers = await Promise.all(requests.map((request) => call(host, request)));

    expect(answers.map((answer, i) => Buffer.compare(answer, requests[i] as Uint8Array))).toEqual(
      requests.map(() => 0),
    );
  });

  test("waits while the transport is congested, and a small call goes in between", async () => {
    const peer = scripted({ limits, peerLimits: limits });
    const request = patternBytes(10 * mib);
    let isSlow = true;
    peer.transport.onWrite = () => (peer.transport.isCongested = isSlow);
    void peer.call(request);
    const before = await peer.sent();

    void peer.call(bytes(...Array.from({ length: 16 }, (_, i) => i)));
    const between = await peer.sent();
    isSlow = false;
    peer.transport.drained();
    await turnsUntil("all has gone out", () => peer.transport.sent.byteCount > request.byteLength);
    const after = await peer.sent();

    expect(before).toHaveLength(1);
    expect(between.map(({ kind, requestId }) => [kind, requestId])).toEqual([
      [FrameKind.Request, 2],
    ]);
    expect(Buffer.compare(message([...before, ...after]), request)).toBe(0);
  });

  test("lets timers and I/O have their turn at 512 KiB, however fast it is taken", async () => {
    const peer = scripted({ limits, peerLimits: limits });
    const { sent } = peer.transport;
    void peer.call(patternBytes(2 * mib));
    const perTurn: number[] = [];

    for (let before = 0; before < 2 * mib; before = sent.byteCount) {
      await new Promise(setImmediate);
      perTurn.push(sent.byteCount - before);
    }

    expect(Math.max(...perTurn)).toBeLessThan(640 * 1024);
  });

  test("goes out at once where a caller blocks, who gives nobody a turn", async () => {
    for (const turns of [0, 1]) {
      const peer = scripted({ limits, peerLimits: limits });
      void peer.call(patternBytes(2 * mib));
      for (let i = 0; i < turns; i++) await new Promise(setImmediate);
      blocked.enter();
      peer.connection.flush();
      blocked.leave();

      expect(peer.transport.sent.byteCount).toBeGreaterThan(2 * mib);
    }
  });

  test("delays a call of 16 bytes by a few frames, and not by 16 MiB", async () => {
    const { host, hostTransport } = pair({ handler: echo, limits });
    const large = call(host, patternBytes(16 * mib));
    await Bun.sleep(0);

    await call(host, patternBytes(16));
    const sentBytes = hostTransport.sent.byteCount;

    expect(sentBytes).toBeLessThan(2 * mib);
    await large;
  });

  test("comes in between the pieces of others", async () => {
    const peer = scripted();
    const answers = [1, 2, 3].map((id) => patternBytes(150_000 + id, id));
    const results = answers.map(() => peer.call(bytes()));
    const pieces = answers.map((answer, i) => split(FrameKind.Response, i + 1, answer, 10_000));
    // In any order, but for the pieces of one message.
    const order = shuffled(
      pieces.flatMap((frames, i) => frames.map(() => i)),
      seeded(15),
    );

    for (const i of order) peer.deliver(pieces[i]?.shift() as Uint8Array);

    expect(await Promise.all(results)).toEqual(answers);
  });

  test("may be one whose first piece has all of it, or none of it", async () => {
    const peer = scripted();
    const results = [peer.call(bytes()), peer.call(bytes())];
    const more = FrameFlag.FromCallee | FrameFlag.More;
    const kind = FrameKind.Response;

    peer.deliver(
      frame({ kind, flags: more, requestId: 1, payload: [...u32(3), 7, 8, 9] }),
      frame({ kind: FrameKind.Continue, flags: FrameFlag.FromCallee, requestId: 1 }),
      frame({ kind, flags: more, requestId: 2, payload: u32(0) }),
      frame({ kind: FrameKind.Continue, flags: FrameFlag.FromCallee, requestId: 2 }),
    );

    expect(await Promise.all(results)).toEqual([bytes(7, 8, 9), bytes()]);
  });

  test("that is answered with an error before it was sent in full is sent no further", async () => {
    const peer = scripted();
    peer.transport.onWrite = () => (peer.transport.isCongested = true);
    const result = peer.call(patternBytes(500_000));
    await peer.sent();

    const error = frame({ kind: FrameKind.Error, flags: FrameFlag.FromCallee, requestId: 1 });
    peer.deliver(error);
    peer.transport.onWrite = undefined;
    peer.transport.drained();

    expect((await peer.sent()).map(({ kind }) => kind)).toEqual([FrameKind.Cancel]);
    expect(await result.catch(({ code }) => code)).toBe("unknown");
    expect(peer.connection.inFlightCount).toBe(0);
  });
});

describe("a peer that announces much and sends little", () => {
  const callCount = 500;
  const announcedBytes = 64 * mib;

  test.each(["request", "response"] as const)(
    "makes us take little memory for a %s",
    async (what) => {
      const peer = scripted({
        limits: { maxMessageBytes: announcedBytes },
        handler: new KeepingHandler(),
      });
      if (what === "response")
        for (let i = 0; i < callCount; i++) void peer.call(bytes()).catch(() => {});
      await peer.sent();
      Bun.gc(true);
      const before = heapStats().extraMemorySize;

      const { Request, Response } = FrameKind;
      for (let requestId = 1; requestId <= callCount; requestId++) {
        peer.deliver(
          frame({
            kind: what === "request" ? Request : Response,
            flags: FrameFlag.More | (what === "request" ? 0 : FrameFlag.FromCallee),
            requestId,
            payload: joined(u32(announcedBytes), patternBytes(60)),
          }),
        );
      }
      const takenBytes = heapStats().extraMemorySize - before;

      expect(peer.connection.closeReason).toBeUndefined();
      // 31 GiB are announced, and 30,000 bytes have come.
      expect(takenBytes).toBeLessThan(8 * mib);
    },
  );
});

test("the rest of an answer that nobody waits for any more takes no memory", async () => {
  const large = { maxMessageBytes: 64 * mib };
  const peer = scripted({ limits: large, peerLimits: large });
  const controller = new AbortController();
  const result = peer.call(bytes(), { signal: controller.signal });
  const pieces = split(FrameKind.Response, 1, patternBytes(40 * mib));
  peer.deliver(pieces[0] as Uint8Array);
  controller.abort();
  await result.catch(() => {});
  Bun.gc(true);
  const before = heapStats().extraMemorySize;

  peer.deliver(...pieces.slice(1, -1));
  Bun.gc(true);
  const takenBytes = heapStats().extraMemorySize - before;

  expect(peer.connection.idCount).toBe(1);
  expect(takenBytes).toBeLessThan(8 * mib);
});

describe("Reassembly", () => {
  test("takes memory for at most 17 times what has come", () => {
    const reassembly = new Reassembly(64 * mib, false);
    const takenBytes: number[] = [];

    for (let i = 0; i < 10; i++) {
      reassembly.add(patternBytes(100), 0, 100, false);
      takenBytes.push((reassembly.take() as Uint8Array).buffer.byteLength);
    }

    takenBytes.forEach((byteCount, i) => expect(byteCount).toBeLessThanOrEqual(17 * 100 * (i + 1)));
  });

  test("takes the memory of a message with 1 MiB of bytes once, from its first frame on", () => {
    const totalBytes = mib + 5;
    const reassembly = new Reassembly(totalBytes, false);
    const memory = new Set<ArrayBufferLike>();

    // The first frame has the message's length as well.
    for (let from = 0, to = maxFramePayloadBytes - 4; from < totalBytes;) {
      reassembly.add(patternBytes(to - from), 0, to - from, to === totalBytes);
      memory.add((reassembly.take() as Uint8Array).buffer);
      from = to;
      to = Math.min(totalBytes, from + maxFramePayloadBytes);
    }

    expect(memory.size).toBe(1);
  });

  test("says where the next piece belongs, and copies nothing that is there already", () => {
    const whole = patternBytes(1_000);
    const reassembly = new Reassembly(1_000, false);
    reassembly.add(whole, 0, 300, false);

    const room = reassembly.roomFor(700) as Uint8Array;
    room.set(whole.subarray(300));
    reassembly.add(room, 0, 700, true);

    expect(room.byteLength).toBe(700);
    expect(reassembly.take()?.buffer).toBe(room.buffer);
    expect(reassembly.take()).toEqual(whole);
  });

  test("takes a piece from elsewhere too, though it has said where that belongs", () => {
    const whole = patternBytes(1_000);
    const reassembly = new Reassembly(1_000, false);
    reassembly.roomFor(1_000)?.fill(0xee);
    reassembly.add(whole, 0, 1_000, true);

    expect(reassembly.take()).toEqual(whole);
  });

  test("has no place for more than was announced, nor for what is dropped", () => {
    const reassembly = new Reassembly(1_000, false);
    expect(reassembly.roomFor(1_001)).toBeUndefined();
    reassembly.discard();
    expect(reassembly.roomFor(1)).toBeUndefined();
  });

  test("is known by its key until it is taken or dropped", () => {
    const partialBytes = new PartialBytes(10_000);
    const sent = new Reassembly(100, false, partialBytes, 7);
    const answered = new Reassembly(200, false, partialBytes, -7);
    new Reassembly(200, true, partialBytes, 8);
    const rooms = () =>
      [7, 8].flatMap((id) =>
        [false, true].map((isFromCallee) => partialBytes.roomFor(id, isFromCallee, 200)?.length),
      );

    expect(partialBytes.roomFor(7, false, 100)?.byteLength).toBe(100);
    expect(rooms()).toEqual([undefined, 200, undefined, undefined]);
    answered.discard();
    expect([partialBytes.isExpecting, ...rooms()]).toEqual([true, ...rooms().fill(undefined)]);
    sent.add(patternBytes(100), 0, 100, true);
    sent.take();
    expect([partialBytes.isExpecting, partialBytes.heldBytes]).toEqual([false, 0]);
  });

  test("gives the whole message, and no byte more", () => {
    const whole = patternBytes(10_007);
    const reassembly = new Reassembly(whole.byteLength, false);

    for (let at = 0; at < whole.byteLength; at += 300) {
      const end = Math.min(whole.byteLength, at + 300);
      reassembly.add(whole, at, end, end === whole.byteLength);
    }

    expect(reassembly.take()).toEqual(whole);
  });

  test("counts, and keeps nothing of, a message that is discarded", () => {
    const reassembly = new Reassembly(20, false);
    reassembly.add(patternBytes(10), 0, 10, false);
    reassembly.discard();
    reassembly.add(patternBytes(10), 0, 10, true);

    expect(reassembly.take()).toBeUndefined();
    expect(new Reassembly(20, true).take()).toBeUndefined();
  });

  test.each([
    ["more than was announced", 21, false, "announced as 20 bytes has at least 21"],
    ["more than was announced at the end", 21, true, "announced as 20 bytes ended with 21"],
    ["less than was announced at the end", 19, true, "announced as 20 bytes ended with 19"],
  ])("throws protocol_error for %s", (_, byteCount, isLast, message) => {
    for (const isDiscarded of [false, true]) {
      const reassembly = new Reassembly(20, isDiscarded);

      const error = thrown(() => reassembly.add(patternBytes(30), 0, byteCount, isLast));

      expect(error.message).toBe(`[protocol_error] a message ${message}`);
    }
  });
});

test("an answer that is in pieces is not kept by who wrote it: the value may be changed at once", async () => {
  const handler = new KeepingHandler();
  const { host } = pair({ handler });
  const result = call(host, bytes());
  await turnsUntil("the call has come", () => handler.calls.length === 1);
  const answer = patternBytes(300_000);

  handler.calls[0]?.call.respond(bytesWriter, answer);
  answer.fill(0);

  expect(Buffer.compare(await result, patternBytes(300_000))).toBe(0);
});
