import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import { CreditPool } from "../../src/stream/credit.ts";
import { settled } from "../support/fake-transport.ts";
import { thrown } from "../support/rejection.ts";
import { broken, newSender, quarterBytes, windowBytes } from "../support/streams.ts";

/** Whether a promise has settled, without waiting for it. */
function watch(promise: Promise<unknown>): { isSettled: boolean } {
  const state = { isSettled: false };
  void promise.then(() => (state.isSettled = true));
  return state;
}

describe("a MessageSender", () => {
  test("is ready once its call has an id", async () => {
    const { sender } = newSender();
    const ready = watch(sender.ready());
    await settled();
    const before = [sender.isReady, ready.isSettled];

    sender.open(7);
    await settled();

    expect(before).toEqual([false, false]);
    expect([sender.isReady, ready.isSettled]).toEqual([true, true]);
  });

  test("charges each message its bytes and 12, and stops when the window is used up", () => {
    const { sender, pool, send } = newSender({ pool: new CreditPool(1_000_000) });
    sender.open(1);
    const seen: boolean[] = [];
    for (let i = 0; i < 4; i++) {
      send(quarterBytes);
      seen.push(sender.isReady);
    }

    expect(seen).toEqual([true, true, true, false]);
    expect(pool.outstandingBytes).toBe(windowBytes);
  });

  test("starts a message with any credit left, however long the message is", () => {
    const { sender, pool, send } = newSender({ pool: new CreditPool(1_000_000) });
    sender.open(1);
    send(windowBytes - 13);
    const wasReady = sender.isReady;

    send(100_000);

    expect(wasReady).toBe(true);
    expect([sender.isReady, pool.outstandingBytes]).toEqual([false, windowBytes - 1 + 100_012]);
  });

  test("counts empty messages, so that they end too", () => {
    const { sender, send, sent } = newSender();
    sender.open(1);
    while (sender.isReady) send(0);

    expect(sent).toHaveLength(Math.ceil(windowBytes / 12));
  });

  test("is ready again when credit comes back", async () => {
    const { sender, send } = newSender();
    sender.open(1);
    send(windowBytes);
    const ready = watch(sender.ready());
    sender.onCredit(12);
    await settled();
    const early = ready.isSettled;

    sender.onCredit(1);
    await settled();

    expect(early).toBe(false);
    expect(ready.isSettled).toBe(true);
  });

  test("refuses credit for more than it has outstanding", () => {
    const { sender, send } = newSender();
    sender.open(5);
    send(88);

    const error = thrown(() => sender.onCredit(101));

    expect(error.message).toBe(
      "[protocol_error] credit of 101 bytes for request id 5, which has 100 outstanding",
    );
  });

  test("waits for the connection's credit if it has something outstanding itself", async () => {
    const pool = new CreditPool(windowBytes);
    const [greedy, other] = [newSender({ pool }), newSender({ pool })];
    greedy.sender.open(1);
    other.sender.open(2);
    other.send(0);
    greedy.send(2 * windowBytes);
    const ready = watch(other.sender.ready());
    await settled();
    const early = ready.isSettled;

    greedy.sender.onCredit(2 * windowBytes);
    await settled();

    expect(early).toBe(false);
    expect([ready.isSettled, other.sender.isReady]).toEqual([true, true]);
  });

  test("may start one message without the connection's credit if it has nothing outstanding", () => {
    const pool = new CreditPool(windowBytes);
    const [greedy, other] = [newSender({ pool }), newSender({ pool })];
    greedy.sender.open(1);
    other.sender.open(2);
    greedy.send(2 * windowBytes);

    const before = other.sender.isReady;
    other.send(0);

    expect([before, other.sender.isReady]).toEqual([true, false]);
  });

  test("is not ready while a message goes out in pieces, and flushed when it is out", async () => {
    const { sender, send, finishPieces } = newSender({ maxFrameBytes: 100 });
    sender.open(1);
    send(200);
    const flushed = watch(sender.flushed());
    await settled();
    const early = [sender.isReady, flushed.isSettled];

    finishPieces();
    await settled();

    expect(early).toEqual([false, false]);
    expect([sender.isReady, flushed.isSettled]).toEqual([true, true]);
  });

  test("says once that there are no more messages", () => {
    const { sender, sent } = newSender();
    sender.open(1);

    sender.end();
    sender.end();

    expect(sent).toEqual(["end"]);
  });

  test("says nothing of an end when it is stopped", () => {
    const { sender, sent } = newSender();
    sender.open(1);
    sender.stop(broken);

    sender.end();

    expect(sent).toEqual([]);
  });

  test("counts what is outstanding after its end too, until it is given back", () => {
    const { sender, pool, send } = newSender();
    sender.open(1);
    send(100);

    sender.end();
    const { outstandingBytes } = pool;
    sender.onCredit(112);

    expect([outstandingBytes, pool.outstandingBytes]).toEqual([112, 0]);
  });

  test("wakes whoever waits when it is stopped, and keeps the first reason", async () => {
    const { sender } = newSender();
    const ready = watch(sender.ready());
    let stopCount = 0;
    sender.onStop = () => void (stopCount += 1);

    sender.stop(broken);
    sender.stop(new PlugError("unknown", "later"));
    await settled();

    expect([ready.isSettled, sender.isReady, stopCount]).toEqual([true, false, 1]);
    expect(sender.stopReason).toBe(broken);
  });

  test("sends no more of a message in pieces when it is stopped", () => {
    const { sender, send, stopped } = newSender({ maxFrameBytes: 100 });
    sender.open(1);
    send(200);

    sender.stop(broken);

    expect(stopped.map(({ byteCount }) => byteCount)).toEqual([200]);
  });

  test("keeps its accounts when it is stopped, and gives them up when it is closed", () => {
    const { sender, send, pool } = newSender();
    sender.open(1);
    send(88);
    sender.stop(broken);
    const stopped = pool.outstandingBytes;
    sender.onCredit(40);
    const credited = pool.outstandingBytes;
    sender.close(broken);
    sender.close(broken);

    expect([stopped, credited, pool.outstandingBytes]).toEqual([100, 60, 0]);
  });

  test("wakes a stream that waits for the connection's credit when it is closed", async () => {
    const pool = new CreditPool(windowBytes);
    const [greedy, other] = [newSender({ pool }), newSender({ pool })];
    greedy.sender.open(1);
    other.sender.open(2);
    other.send(0);
    greedy.send(2 * windowBytes);
    const ready = watch(other.sender.ready());

    greedy.sender.close(broken);
    await settled();

    expect(ready.isSettled).toBe(true);
  });
});
