import { describe, expect, test } from "bun:test";

import { memoryTransports } from "../../src/transport/memory-transport.ts";
import { ByteLog, send } from "../support/byte-log.ts";
import { patternBytes } from "../support/random.ts";

describe("memoryTransports", () => {
  test("deliver in a turn of its own: nobody is called back from inside a flush", async () => {
    const [left, right] = memoryTransports();
    const log = new ByteLog();
    right.start(log);

    send(left, patternBytes(10));
    const atOnce = log.byteCount;
    await log.received(10);

    expect(atOnce).toBe(0);
  });

  test("copy what was written: the sender may use its memory again", async () => {
    const [left, right] = memoryTransports();
    const log = new ByteLog();
    right.start(log);

    send(left, patternBytes(10));
    left.buffer.fill(0);
    await log.received(10);

    expect(log.bytes).toEqual(patternBytes(10));
  });

  test("drop what has not been flushed when they are closed", async () => {
    const [left, right] = memoryTransports();
    const log = new ByteLog();
    right.start(log);
    const at = left.reserve(10);
    left.commit(at + 10);

    left.close();
    await log.hasEnded();

    expect(log.byteCount).toBe(0);
  });
});
