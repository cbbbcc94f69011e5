import { describe, expect, test } from "bun:test";

import fc from "fast-check";
import { Deadlines, type Due } from "../../src/call/deadlines.ts";
import { Clock } from "../support/clock.ts";

const maxTimerMs = 2 ** 31 - 1;

interface Entry extends Due {
  readonly name: number;
}

function entry(name: number, deadlineAt: number, onDue: (name: number) => void): Entry {
  return { name, deadlineAt, heapIndex: -1, due: () => onDue(name) };
}

describe("Deadlines", () => {
  test("calls an entry at its deadline or a little after it, and never before", () => {
    using clock = new Clock();
    const deadlines = new Deadlines();
    const due: number[] = [];
    deadlines.add(entry(1, clock.nowMs + 10.5, (name) => due.push(name)));

    clock.advance(10);
    const early = [...due];
    clock.advance(2);

    expect([early, due]).toEqual([[], [1]]);
    expect(deadlines.count).toBe(0);
  });

  test("calls no entry early because another one is due", () => {
    using clock = new Clock();
    const deadlines = new Deadlines();
    const due: number[] = [];
    deadlines.add(entry(1, clock.nowMs + 10, (name) => due.push(name)));
    deadlines.add(entry(2, clock.nowMs + 10.9, (name) => due.push(name)));

    clock.advance(10);
    const first = [...due];
    clock.advance(2);

    expect([first, due]).toEqual([[1], [1, 2]]);
  });

  test("has one timer for all entries, and none when the last one was called", () => {
    using clock = new Clock();
    const deadlines = new Deadlines();
    for (let i = 0; i < 100; i++) deadlines.add(entry(i, clock.nowMs + 50 + i, () => {}));
    const timerCount = clock.timerCount;

    clock.advance(1_000);

    expect([timerCount, clock.timerCount]).toEqual([1, 0]);
  });

  test("sets no timer for an entry that is due later than another one", () => {
    using clock = new Clock();
    const deadlines = new Deadlines();
    for (let i = 0; i < 1_000; i++) deadlines.add(entry(i, clock.nowMs + 50 + i, () => {}));

    expect(clock.delaysMs).toHaveLength(1);
  });

  test("calls entries that were added or removed while others are called", () => {
    using clock = new Clock();
    const deadlines = new Deadlines();
    const due: number[] = [];
    const late = entry(2, clock.nowMs + 10, (name) => due.push(name));
    deadlines.add(
      entry(1, clock.nowMs + 10, (name) => {
        due.push(name);
        deadlines.remove(late);
        deadlines.add(entry(3, clock.nowMs + 5, (other) => due.push(other)));
      }),
    );
    deadlines.add(late);

    clock.advance(100);

    expect(due).toEqual([1, 3]);
    expect([deadlines.count, clock.timerCount]).toEqual([0, 0]);
  });

  test("forgets an entry that is removed, and lets it be removed again and added again", () => {
    using clock = new Clock();
    const deadlines = new Deadlines();
    const due: number[] = [];
    const one = entry(1, clock.nowMs + 10, (name) => due.push(name));
    deadlines.add(one);
    deadlines.remove(one);
    deadlines.remove(one);
    clock.advance(20);
    const dueBefore = [...due];

    one.deadlineAt = clock.nowMs + 10;
    deadlines.add(one);
    clock.advance(20);

    expect([dueBefore, due]).toEqual([[], [1]]);
  });

  test("clear forgets all entries and the timer, and entries can be removed after it", () => {
    using clock = new Clock();
    const deadlines = new Deadlines();
    const due: number[] = [];
    const entries = [3, 1, 2].map((name) => entry(name, clock.nowMs + name, (n) => due.push(n)));
    for (const one of entries) deadlines.add(one);

    deadlines.clear();
    for (const one of entries) deadlines.remove(one);
    clock.advance(100);

    expect(due).toEqual([]);
    expect([deadlines.count, clock.timerCount]).toEqual([0, 0]);
  });

  // A timer takes at most 2^31 - 1 ms; what is longer fires at once. A peer may send a deadline of
  // 2^32 - 1 ms, so an entry that is further off would have the timer fire a thousand times a second.
  test("never sets a timer for longer than a timer can wait", () => {
    using clock = new Clock();
    const deadlines = new Deadlines();
    const due: number[] = [];

    deadlines.add(entry(1, clock.nowMs + 2 ** 32, (name) => due.push(name)));
    clock.advance(maxTimerMs);

    expect(Math.max(...clock.delaysMs)).toBeLessThanOrEqual(maxTimerMs);
    expect(due).toEqual([]);
  });

  type Step =
    | { readonly do: "add"; readonly inMs: number }
    | { readonly do: "remove"; readonly which: number }
    | { readonly do: "advance"; readonly byMs: number };
  const steps = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant("add"), inMs: fc.nat(300) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("remove"), which: fc.nat(50) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("advance"), byMs: fc.nat(60) }) },
    ) as fc.Arbitrary<Step>,
    { maxLength: 120 },
  );

  test("does what a sorted list does, whatever is added, removed and waited for", () => {
    using clock = new Clock();
    fc.assert(
      fc.property(steps, (script) => {
        const deadlines = new Deadlines();
        const due: number[] = [];
        const added: Entry[] = [];
        let model: Entry[] = [];
        const expected: number[] = [];
        for (const step of script) {
          if (step.do === "add") {
            const one = entry(added.length, clock.nowMs + step.inMs, (name) => due.push(name));
            added.push(one);
            model.push(one);
            deadlines.add(one);
          } else if (step.do === "remove") {
            const one = added[step.which];
            if (one !== undefined) deadlines.remove(one);
            model = model.filter((other) => other !== one);
          } else {
            clock.advance(step.byMs);
            // The clock of the test is in whole milliseconds; a timer waits for at least one.
            const isDue = ({ deadlineAt }: Entry): boolean => deadlineAt <= clock.nowMs - 1;
            const isCalled = (one: Entry): boolean => isDue(one) || due.includes(one.name);
            expected.push(...model.filter(isCalled).map(({ name }) => name));
            model = model.filter((one) => !isCalled(one));
            expect(due.every((name) => (added[name] as Entry).deadlineAt <= clock.nowMs)).toBe(
              true,
            );
          }
          expect(deadlines.count).toBe(model.length);
        }
        expect([...due].sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
        // Called in the order of their deadlines, but for those added when they were due already.
        deadlines.clear();
        expect(clock.timerCount).toBe(0);
      }),
      { numRuns: 2_000, seed: 7 },
    );
  });

  test("calls entries in the order of their deadlines", () => {
    using clock = new Clock();
    fc.assert(
      fc.property(fc.array(fc.nat(200), { maxLength: 200 }), fc.nat(), (spans, salt) => {
        const deadlines = new Deadlines();
        const due: number[] = [];
        const entries = spans.map((span, i) =>
          entry(i, clock.nowMs + span, (name) => due.push(spans[name] as number)),
        );
        for (const one of entries) deadlines.add(one);
        const removed = entries.filter((_, i) => (i * 7 + salt) % 3 === 0);
        for (const one of removed) deadlines.remove(one);

        clock.advance(300);

        const left = spans.filter((_, i) => (i * 7 + salt) % 3 !== 0);
        expect(due).toEqual(left.sort((a, b) => a - b));
      }),
      { numRuns: 1_000, seed: 8 },
    );
  });
});

test("a deadline does not keep the process running", async () => {
  const script = `
    import { Deadlines } from "${import.meta.dir}/../../src/call/deadlines.ts";
    new Deadlines().add({ deadlineAt: performance.now() + 600_000, heapIndex: -1, due() {} });
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "pipe"] });

  expect(await child.exited).toBe(0);
});
