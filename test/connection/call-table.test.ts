import { describe, expect, test } from "bun:test";

import { allowances, checkedLimits } from "../../src/call/limits.ts";
import type { OutgoingCall } from "../../src/call/outgoing-call.ts";
import { CallTable } from "../../src/connection/call-table.ts";
import { seeded } from "../support/random.ts";
import { thrown } from "../support/rejection.ts";

// All that the table knows of a call.
function newCall(): OutgoingCall {
  return { id: 0 } as OutgoingCall;
}

describe("CallTable", () => {
  test("gives each call an id of its own, and never 0", () => {
    const table = new CallTable();
    const calls = Array.from({ length: 1_000 }, newCall);

    for (const call of calls) table.add(call);

    expect(new Set(calls.map(({ id }) => id)).size).toBe(1_000);
    expect(calls.some(({ id }) => id === 0)).toBe(false);
    expect(calls.map(({ id }) => table.get(id))).toEqual(calls);
    expect(table.count).toBe(1_000);
  });

  test("does not give an id again for 4,096 calls of the same place", () => {
    const table = new CallTable();
    const ids: number[] = [];
    for (let i = 0; i < 4_097; i++) {
      const call = newCall();
      table.add(call);
      ids.push(call.id);
      table.remove(call);
    }

    expect(new Set(ids.slice(0, 4_096)).size).toBe(4_096);
    expect(ids[4_096]).toBe(ids[0] as number);
    expect(ids.every((id) => Number.isInteger(id) && id > 0 && id <= 0xffff_ffff)).toBe(true);
  });

  test("throws protocol_error for an id that is not in flight, naming it", () => {
    const table = new CallTable();
    const call = newCall();
    table.add(call);
    const { id } = call;
    table.remove(call);

    for (const other of [0, id, id + 1, 0xffff_ffff]) {
      expect(thrown(() => table.get(other)).message).toBe(
        `[protocol_error] answer to request id ${other}, which is not in flight`,
      );
    }
  });

  test("does not take an id for a call that got the same place later", () => {
    const table = new CallTable();
    const [first, second] = [newCall(), newCall()];
    table.add(first);
    const { id } = first;
    table.remove(first);
    table.add(second);

    expect(thrown(() => table.get(id)).code).toBe("protocol_error");
    expect(table.get(second.id)).toBe(second);
  });

  test("has the calls that a map has, whatever is added and removed", () => {
    const table = new CallTable();
    const model = new Map<number, OutgoingCall>();
    const random = seeded(16);
    for (let i = 0; i < 50_000; i++) {
      if (model.size < 50 && random(2) === 0) {
        const call = newCall();
        table.add(call);
        expect(model.has(call.id)).toBe(false);
        model.set(call.id, call);
      } else if (model.size > 0) {
        const call = [...model.values()][random(model.size)] as OutgoingCall;
        expect(table.get(call.id)).toBe(call);
        table.remove(call);
        model.delete(call.id);
      }
    }

    expect(table.count).toBe(model.size);
    expect(new Set(table.takeAll())).toEqual(new Set(model.values()));
    expect(table.count).toBe(0);
  });

  test("takeAll leaves a table that can be used again", () => {
    const table = new CallTable();
    for (let i = 0; i < 10; i++) table.add(newCall());
    const taken = table.takeAll();
    const call = newCall();
    table.add(call);

    expect(taken).toHaveLength(10);
    expect(table.get(call.id)).toBe(call);
    expect(table.count).toBe(1);
  });

  test("holds as many calls as all allowances together may allow", () => {
    const most = {
      maxInFlightCalls: 512 * 1024,
      maxInFlightStreams: 256 * 1024,
      maxNestedCalls: 256 * 1024,
    };
    const count = allowances(checkedLimits(most)).reduce((sum, limit) => sum + limit);
    const table = new CallTable();
    const calls = Array.from({ length: count }, newCall);

    expect(count).toBe(2 ** 20);

    for (const call of calls) table.add(call);

    expect(calls.filter((call) => table.get(call.id) !== call)).toEqual([]);
  });
});
