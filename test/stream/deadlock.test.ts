// PROTOCOL.md, section 7: nothing can wait for ever, however small the windows are, and streams
// that are stuck stop nobody else.

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import type { CallHandler, IncomingCall } from "../../src/call/incoming-call.ts";
import type { Limits } from "../../src/call/limits.ts";
import type { CallTerms } from "../../src/call/outgoing-call.ts";
import type { Connection } from "../../src/connection/connection.ts";
import { FrameFlag } from "../../src/frame/frame-header.ts";
import type { MessageReceiver } from "../../src/stream/message-receiver.ts";
import type { MessageSender } from "../../src/stream/message-sender.ts";
import { emptyWriter } from "../../src/stream/payload.ts";
import { pump } from "../../src/stream/pump.ts";
import { pair } from "../support/connections.ts";
import { turnsUntil } from "../support/fake-transport.ts";
import { bytes, bytesReader, bytesWriter, route } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";
import { rejection } from "../support/rejection.ts";
import { within } from "../support/within.ts";

const bothWays = FrameFlag.ClientStreams | FrameFlag.ServerStreams;

/** Gives back each message of a stream, one at a time, and the request of a call. */
const echoing: CallHandler = {
  handle(call, buffer, from, to) {
    if (call.streamFlags === 0) {
      call.respond(bytesWriter, buffer.slice(from, to));
      return;
    }
    const messages = call.messages(bytesReader);
    call.defer();
    const sender = call.sender as MessageSender;
    pump(messages, sender, (message) => sender.send(bytesWriter, message)).then(
      () => call.respond(emptyWriter, undefined),
      (error: unknown) => call.fail(error),
    );
  },
};

function open(connection: Connection, terms?: CallTerms) {
  const stream = connection.openStream(
    route,
    bothWays,
    emptyWriter,
    undefined,
    bytesReader,
    bytesReader,
    terms,
  );
  return {
    ...stream,
    sender: stream.sender as MessageSender,
    receiver: stream.receiver as MessageReceiver<Uint8Array>,
  };
}

/** Sends messages of these sizes through an echo, and reads them back one at a time. */
async function roundTrip(connection: Connection, sizes: readonly number[]): Promise<number> {
  const { sender, receiver, response } = open(connection);
  const messages = sizes.map((byteCount, i) => patternBytes(byteCount, i));
  const sending = pump(messages, sender, (message) => sender.send(bytesWriter, message)).then(() =>
    sender.end(),
  );
  let count = 0;
  for await (const message of receiver) {
    const sent = messages[count] as Uint8Array;
    if (Buffer.compare(message, sent) !== 0) throw new Error(`message ${count} is another one`);
    count += 1;
    // A turn for each: the reader is slower than everything else.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await sending;
  await response;
  return count;
}

function books({ idCount, incomingCount, inFlightCount, outstandingBytes }: Connection) {
  const { sent, received } = outstandingBytes;
  return { idCount, incomingCount, inFlightCount, sent, received };
}

const emptyBooks = { idCount: 0, incomingCount: 0, inFlightCount: 0, sent: 0, received: 0 };

describe("nothing waits for ever", () => {
  const windows: readonly [string, Partial<Limits>][] = [
    ["windows of 1 KiB", { streamWindowBytes: 1024, connectionWindowBytes: 1024 }],
    // Smaller than may be set; a peer may say so all the same.
    ["windows of one byte", { streamWindowBytes: 1, connectionWindowBytes: 1 }],
    ["a stream's window above the connection's", { connectionWindowBytes: 1024 }],
    ["a connection's window above the streams'", { streamWindowBytes: 1 }],
  ];
  // Below the window, at it, beyond it, and in pieces.
  const sizes = [0, 1, 1011, 1012, 1013, 5_000, 0, 70_000, 3];

  test.each(windows)(
    "with %s, 16 streams each way through handlers that echo, read one message at a time",
    async (_, limits) => {
      const { host, plugin } = pair({ handler: echoing, hostHandler: echoing, limits });
      const trips = Array.from({ length: 32 }, (_each, i) =>
        roundTrip(i % 2 === 0 ? host : plugin, [...sizes.slice(i % 9), ...sizes.slice(0, i % 9)]),
      );

      const counts = await within(10_000, Promise.all(trips));

      expect(counts).toEqual(trips.map(() => sizes.length));
      await turnsUntil("both know of all ends", () =>
        [host, plugin].every((each) => Bun.deepEquals(books(each), emptyBooks)),
      );
      expect([host.closeReason, plugin.closeReason]).toEqual([undefined, undefined]);
    },
  );

  test("with one place for streams, 100 of them each way take turns", async () => {
    const limits = { streamWindowBytes: 1, connectionWindowBytes: 1, maxInFlightStreams: 1 };
    const { host, plugin } = pair({ handler: echoing, hostHandler: echoing, limits });

    const trips = Array.from({ length: 200 }, (_, i) =>
      roundTrip(i % 2 === 0 ? host : plugin, [0, 100, 2_000]),
    );

    expect(await within(10_000, Promise.all(trips))).toEqual(trips.map(() => 3));
  });

  test("through a chain of handlers, each of which passes the stream back to the other side", async () => {
    const depth = 6;
    const limits = { streamWindowBytes: 1, connectionWindowBytes: 1, maxInFlightStreams: 1 };
    const sides: { host: Connection; plugin: Connection } = pair({
      limits,
      handler: { handle: (call) => pass(call, () => sides.plugin) },
      hostHandler: { handle: (call) => pass(call, () => sides.host) },
    });
    let level = 0;

    function pass(call: IncomingCall, connection: () => Connection): void {
      level += 1;
      if (level === depth) {
        echoing.handle(call, new Uint8Array(0), 0, 0, false);
        return;
      }
      const messages = call.messages(bytesReader);
      call.defer();
      const next = open(connection(), { context: call });
      const sender = call.sender as MessageSender;
      const there = pump(messages, next.sender, (each) => next.sender.send(bytesWriter, each));
      const back = pump(next.receiver, sender, (each) => sender.send(bytesWriter, each));
      there
        .then(() => next.sender.end())
        .then(() => back)
        .then(
          () => call.respond(emptyWriter, undefined),
          (error: unknown) => call.fail(error),
        );
    }

    const count = await within(10_000, roundTrip(sides.host, [1, 5_000, 70_000, 0, 900]));

    expect([count, level]).toEqual([5, depth]);
  });
});

describe("streams that are stuck, as many as maxInFlightStreams allows, both ways,", () => {
  const maxInFlightStreams = 20;
  const limits = {
    maxInFlightStreams,
    streamWindowBytes: 1024,
    connectionWindowBytes: 4096,
    maxInFlightCalls: 4,
  };
  const gone = new PlugError("aborted", "not needed any more");

  /** Takes every call and reads nothing; unary calls it answers at once. */
  class Deaf implements CallHandler {
    readonly calls: IncomingCall[] = [];
    isEchoing = false;

    handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number): void {
      if (call.streamFlags === 0 || this.isEchoing) {
        echoing.handle(call, buffer, from, to, false);
        return;
      }
      call.messages(bytesReader);
      call.defer();
      this.calls.push(call);
      // Its own messages stay unread on the other side.
      const sender = call.sender as MessageSender;
      void pump(endless(), sender, (each) => sender.send(bytesWriter, each));
    }
  }

  function* endless() {
    for (;;) yield patternBytes(300);
  }

  async function stuck() {
    const handlers = [new Deaf(), new Deaf()] as const;
    const sides = pair({ handler: handlers[1], hostHandler: handlers[0], limits });
    const connections = [sides.host, sides.plugin] as const;
    const streams = connections.map((connection) =>
      Array.from({ length: maxInFlightStreams }, () => {
        const stream = open(connection);
        const { sender } = stream;
        void pump(endless(), sender, (each) => sender.send(bytesWriter, each));
        return stream;
      }),
    );
    await turnsUntil("all have come", () =>
      handlers.every(({ calls }) => calls.length === maxInFlightStreams),
    );
    let before = -1;
    await turnsUntil("nothing moves any more", () => {
      const now = sides.hostTransport.sent.byteCount + sides.pluginTransport.sent.byteCount;
      const isStill = now === before;
      before = now;
      return isStill;
    });
    return { ...sides, connections, handlers, streams };
  }

  test("take no more than the windows and one message each", async () => {
    const { connections } = await stuck();

    for (const { outstandingBytes } of connections) {
      const bound = limits.connectionWindowBytes + 2 * maxInFlightStreams * 312;
      expect(outstandingBytes.sent).toBeGreaterThanOrEqual(limits.connectionWindowBytes);
      expect(outstandingBytes.sent).toBeLessThanOrEqual(bound);
      expect(outstandingBytes.received).toBeLessThanOrEqual(bound);
    }
    for (const connection of connections) connection.close(gone);
  });

  test("do not stop unary calls, long ones neither, nor pings", async () => {
    const { connections } = await stuck();
    const requests = [0, 100, 200_000].map((byteCount) => patternBytes(byteCount));

    for (const connection of connections) {
      const answers = requests.map((each) =>
        connection.call(route, bytesWriter, each, bytesReader),
      );
      const all = await within(5_000, Promise.all([...answers, connection.ping()]));
      expect(requests.map((each, i) => Buffer.compare(each, all[i] as Uint8Array))).toEqual([
        0, 0, 0,
      ]);
    }
    for (const connection of connections) connection.close(gone);
  });

  test("do not stop nested calls, of any kind", async () => {
    const { connections, handlers } = await stuck();
    for (const handler of handlers) handler.isEchoing = true;

    for (const [i, connection] of connections.entries()) {
      const context = handlers[i]?.calls[0] as IncomingCall;
      const answer = connection.call(route, bytesWriter, bytes(7), bytesReader, { context });
      expect(await within(5_000, answer)).toEqual(bytes(7));
      const { sender, receiver, response } = open(connection, { context });
      const messages = [patternBytes(10), patternBytes(70_000), patternBytes(2_000)];
      const sending = pump(messages, sender, (each) => sender.send(bytesWriter, each));
      void sending.then(() => sender.end());
      const taken = await within(5_000, Array.fromAsync(receiver));
      expect(taken.map((each, nth) => Buffer.compare(each, messages[nth] as Uint8Array))).toEqual([
        0, 0, 0,
      ]);
      await response;
    }
    for (const connection of connections) connection.close(gone);
  });

  test("do not stop one more stream, once there is a place for it", async () => {
    const { connections, handlers, streams } = await stuck();
    for (const handler of handlers) handler.isEchoing = true;

    for (const [i, connection] of connections.entries()) {
      let count: number | undefined;
      const trip = roundTrip(connection, [10, 5_000, 70_000, 0]).then((each) => (count = each));
      await connection.ping();
      const before = count;
      const [first] = streams[i] as [(typeof streams)[0][0]];
      first.abandon(gone);
      expect(await rejection(first.response)).toBe(gone);

      await within(5_000, trip);

      expect([before, count]).toEqual([undefined, 4]);
    }
    for (const connection of connections) connection.close(gone);
  });

  test("go on when somebody reads, and give back all that they had", async () => {
    const { connections, handlers, streams } = await stuck();
    for (const stream of streams.flat()) stream.receiver.cancel();
    await Promise.all(streams.flat().map(({ response }) => rejection(response)));
    await turnsUntil("all are over", () =>
      connections.every((each) => Bun.deepEquals(books(each), emptyBooks)),
    );

    for (const handler of handlers) handler.isEchoing = true;
    const trips = connections.map((connection) => roundTrip(connection, [1, 2_000, 300]));
    expect(await within(5_000, Promise.all(trips))).toEqual([3, 3]);
  });
});
