// Pings: that the peer answers says that it is there, and nothing else is said by it.

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import { Pings } from "../../src/connection/pings.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { pair, scripted } from "../support/connections.ts";
import { joined } from "../support/cuts.ts";
import { settled } from "../support/fake-transport.ts";
import { frame, request } from "../support/frames.ts";
import {
  bytesReader,
  bytesWriter,
  echo,
  KeepingHandler,
  Outcomes,
  route,
} from "../support/payloads.ts";
import { rejection, thrown } from "../support/rejection.ts";

const { Ping, Pong } = FrameKind;

function ping(requestId: number): Uint8Array {
  return frame({ kind: Ping, requestId });
}

function pong(requestId: number): Uint8Array {
  return frame({ kind: Pong, requestId });
}

describe("Pings", () => {
  test("have ids from 1 on, and resolve in whatever order they are answered", async () => {
    const pings = new Pings();
    const three = [pings.add(), pings.add(), pings.add()];
    const outcomes = new Outcomes(three.map(({ answered }) => answered));

    pings.answered(3);
    await settled();
    const first = [...outcomes.settleCounts];
    pings.answered(1);
    pings.answered(2);
    await settled();

    expect(three.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect([first, outcomes.settleCounts, pings.count]).toEqual([[0, 0, 1], [1, 1, 1], 0]);
  });

  test("are answered once: a pong that nobody waits for is a protocol_error, which names it", () => {
    const pings = new Pings();
    const { id } = pings.add();
    pings.answered(id);

    for (const other of [id, 2, 0, 0xffff_ffff]) {
      expect(thrown(() => pings.answered(other)).message).toBe(
        `[protocol_error] pong ${other} answers no ping`,
      );
    }
  });

  test("reject with the reason that there is, all of them", async () => {
    const pings = new Pings();
    const all = [pings.add(), pings.add()].map(({ answered }) => rejection(answered));
    const reason = new PlugError("unavailable", "gone");

    pings.rejectAll(reason);

    expect(await Promise.all(all)).toEqual([reason, reason]);
    expect(pings.count).toBe(0);
  });
});

describe("Connection.ping", () => {
  test("is a frame without a payload, and resolves with the pong of its id", async () => {
    const peer = scripted();
    const outcomes = new Outcomes([peer.connection.ping(), peer.connection.ping()]);
    const sent = await peer.sent();

    peer.deliver(pong(2));
    await settled();

    expect(sent.map(({ payload, ...rest }) => [...Object.values(rest), ...payload])).toEqual([
      [Ping, 0, 0, 1],
      [Ping, 0, 0, 2],
    ]);
    expect(outcomes.settleCounts).toEqual([0, 1]);
    peer.deliver(pong(1));
    await settled();
    expect(outcomes.settleCounts).toEqual([1, 1]);
  });

  test("is no call: it keeps nobody busy, and takes no place", async () => {
    const peer = scripted({ limits: { maxInFlightCalls: 1 } });
    const answered = peer.connection.ping();
    void peer.call(new Uint8Array(0)).catch(() => {});

    expect((await peer.sent()).map(({ kind }) => kind)).toEqual([Ping, FrameKind.Request]);
    expect([peer.connection.inFlightCount, peer.connection.idCount]).toEqual([1, 1]);
    peer.deliver(pong(1));
    await answered;
  });

  test("resolves while handlers stand still and all places are taken", async () => {
    const limits = { maxInFlightCalls: 1 };
    const { host, plugin } = pair({ handler: new KeepingHandler(), limits });
    const calls = [1, 2].map((n) => host.call(...echoCall(n)).catch(() => {}));

    await Promise.all([host.ping(), plugin.ping(), host.ping()]);

    host.close(new PlugError("unavailable", "over"));
    await Promise.all(calls);
  });

  test("rejects with the reason that the connection has ended for, before and after", async () => {
    const peer = scripted();
    const before = rejection(peer.connection.ping());
    const reason = new PlugError("plugin_exited", "gone");

    peer.connection.close(reason);

    expect(await before).toBe(reason);
    expect(await rejection(peer.connection.ping())).toBe(reason);
  });

  test("rejects with resource_exhausted beyond 1,024 at once, and sends nothing of it", async () => {
    const peer = scripted();
    const pings = Array.from({ length: 1_024 }, () => peer.connection.ping());

    const error = await rejection(peer.connection.ping());

    expect(error.code).toBe("resource_exhausted");
    expect(await peer.sent()).toHaveLength(1_024);
    peer.deliver(...pings.map((_, i) => pong(i + 1)));
    await Promise.all(pings);
  });

  test("rejects with unavailable when the transport ends", async () => {
    const peer = scripted();
    const answered = rejection(peer.connection.ping());

    peer.transport.end();

    expect((await answered).code).toBe("unavailable");
  });
});

describe("a ping of the peer", () => {
  test("is answered with a pong of the same id, in the same chunk, before slow calls", async () => {
    const peer = scripted({ handler: new KeepingHandler() });

    peer.deliver(joined(request(1), ping(7), ping(0xffff_ffff)));

    expect(peer.transport.sent.writeCount).toBe(1);
    expect(
      (await peer.sent()).map(({ kind, flags, requestId }) => [kind, flags, requestId]),
    ).toEqual([
      [Pong, 0, 7],
      [Pong, 0, 0xffff_ffff],
    ]);
  });

  test("may use the id of a call, and that of a ping of this side", async () => {
    const peer = scripted({ handler: new KeepingHandler() });
    const answered = peer.connection.ping();
    peer.deliver(request(1), ping(1), pong(1));

    await answered;

    expect(peer.connection.closeReason).toBeUndefined();
    expect(peer.connection.incomingCount).toBe(1);
  });

  test("is answered while this side drains", async () => {
    const peer = scripted({ handler: echo });
    peer.connection.drain(new PlugError("draining", "over"));

    peer.deliver(ping(3));

    expect((await peer.sent()).map(({ kind }) => kind)).toEqual([FrameKind.GoAway, Pong]);
  });

  // Pongs go out at once, so a peer that reads none of them must not take memory without end.
  test("ends the connection if it is one of a flood whose pongs are not read", () => {
    const peer = scripted({ limits: { maxInFlightCalls: 2 } });
    peer.transport.isCongested = true;
    let pingCount = 0;
    peer.transport.onWrite = (bytes) => (peer.transport.unsentBytes += bytes.byteLength);
    const flood = joined(...Array.from({ length: 1_000 }, (_, i) => ping(i + 1)));

    while (peer.connection.closeReason === undefined && pingCount < 1_000_000) {
      peer.deliver(flood);
      pingCount += 1_000;
    }

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
    expect(peer.transport.unsentBytes).toBeLessThan(4 * 1024 * 1024);
  });

  test("waits for its pong while nothing can be sent, and has it as soon as that can be", async () => {
    const peer = scripted();
    peer.transport.isCongested = true;
    peer.deliver(...Array.from({ length: 1_024 }, (_, i) => ping(i + 1)));
    const before = await peer.sent();

    peer.transport.drained();

    expect(before).toEqual([]);
    expect((await peer.sent()).map(({ requestId }) => requestId)).toEqual(
      Array.from({ length: 1_024 }, (_, i) => i + 1),
    );
  });

  test("that is one more than 1,024 without a pong ends the connection", () => {
    const peer = scripted();
    peer.transport.isCongested = true;
    peer.deliver(...Array.from({ length: 1_024 }, (_, i) => ping(i + 1)));
    const before = peer.connection.closeReason;

    peer.deliver(ping(2_000));

    expect(before).toBeUndefined();
    expect(peer.connection.closeReason?.message).toBe(
      "[protocol_error] the peer has 1024 pings unanswered",
    );
  });

  test("may be one of a million, if the pongs are read", () => {
    const peer = scripted({ limits: { maxInFlightCalls: 1 } });
    const flood = joined(...Array.from({ length: 10_000 }, (_, i) => ping(i + 1)));

    for (let i = 0; i < 100; i++) {
      peer.deliver(flood);
      peer.transport.writes.length = 0;
    }

    expect(peer.connection.closeReason).toBeUndefined();
    expect(peer.transport.sent.byteCount).toBe(1_000_000 * 12);
  });
});

test.each([
  ["a pong that answers no ping", pong(1), "pong 1 answers no ping"],
  ["a ping of id 0", ping(0), "ping has id 0"],
  ["a pong of id 0", pong(0), "pong 0 answers no ping"],
  [
    "a ping with a flag",
    frame({ kind: Ping, flags: FrameFlag.FromCallee }),
    "ping frame has flags 0x2",
  ],
])("%s ends the connection with protocol_error", async (_, bytes, text) => {
  const peer = scripted();

  peer.deliver(bytes);

  expect(peer.connection.closeReason?.code).toBe("protocol_error");
  expect(peer.connection.closeReason?.message).toContain(text);
});

test("a pong twice ends the connection, and the ping was answered", async () => {
  const peer = scripted();
  const answered = peer.connection.ping();

  peer.deliver(pong(1), pong(1));

  await answered;
  expect(peer.connection.closeReason?.code).toBe("protocol_error");
});

function echoCall(n: number) {
  return [route, bytesWriter, Uint8Array.of(n), bytesReader] as const;
}
