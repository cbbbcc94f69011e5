// Every interleaving of a writer and a reader of one ring: is anybody ever left asleep?
//
// The steps are those of src/transport/ring-memory.ts and ring-transport.ts, each as atomic as the
// memory makes it. The bells are sockets: one that has not been heard is as good as several.

import { describe, expect, test } from "bun:test";

/** Words in the memory that both share. */
type Word = "written" | "read" | "sleeps" | "waits";

type Store = readonly [Word, number];

type Side = "writer" | "reader";

interface State {
  readonly memory: Readonly<Record<Word, number>>;
  /** Stores that the other side cannot see yet; always empty where stores are Atomics. */
  readonly delayed: Readonly<Record<Side, readonly Store[]>>;
  /** Doorbells that have been rung and not heard. */
  readonly bell: Readonly<Record<Side, boolean>>;
  /** Where each side is; the names are those of the functions below. */
  readonly at: Readonly<Record<Side, string>>;
}

/** What can be left out or exchanged, to see that the explorer finds what that leads to. */
const faults = {
  "the reader does not look again when it has said that it sleeps": "a reader is left asleep",
  "the reader looks first, and then says that it sleeps": "a reader is left asleep",
  "the writer looks whether the reader sleeps before it publishes": "a reader is left asleep",
  "the writer never looks whether the reader sleeps": "a reader is left asleep",
  "the writer takes the sleep and does not ring": "a reader is left asleep",
  "the writer does not look again when it has said that it waits": "a writer is left waiting",
  "the writer looks first, and then says that it waits": "a writer is left waiting",
  "the reader looks whether the writer waits before it gives room": "a writer is left waiting",
  "the reader never looks whether the writer waits": "a writer is left waiting",
  "the reader takes the wait and does not ring": "a writer is left waiting",
} as const;

type Fault = keyof typeof faults;

interface Model {
  readonly messageCount: number;
  /** The writer waits while more than so many are unread. */
  readonly mark: number;
  readonly fault?: Fault | undefined;
  /** Stores may be seen late, as those are that are not Atomics. */
  readonly isDelayed?: boolean;
}

type Steps = Readonly<Record<string, (state: State) => State[]>>;

function load(state: State, side: Side, word: Word): number {
  const own = state.delayed[side].findLast(([stored]) => stored === word);
  return own === undefined ? state.memory[word] : own[1];
}

/** Both sides' programs. A step returns the states that it may lead to; none while it must wait. */
function programs(model: Model): Readonly<Record<Side, Steps>> {
  const { messageCount, mark, fault, isDelayed = false } = model;
  const has = (one: Fault): boolean => fault === one;

  function go(state: State, side: Side, to: string): State {
    return { ...state, at: { ...state.at, [side]: to } };
  }
  function store(state: State, side: Side, word: Word, value: number): State {
    if (!isDelayed) return { ...state, memory: { ...state.memory, [word]: value } };
    const own = [...state.delayed[side], [word, value] as const];
    return { ...state, delayed: { ...state.delayed, [side]: own } };
  }
  // Takes a flag. Whatever its kind, such a step waits for the stores before it.
  function exchange(state: State, side: Side, word: Word): readonly [number, State] | undefined {
    if (state.delayed[side].length > 0) return undefined;
    return [state.memory[word], { ...state, memory: { ...state.memory, [word]: 0 } }];
  }
  function setBell(state: State, side: Side, isRung: boolean): State {
    return { ...state, bell: { ...state.bell, [side]: isRung } };
  }
  function unread(state: State, side: Side): number {
    return load(state, side, "written") - load(state, side, "read");
  }
  /** Load the other side's flag, exchange it, ring: two steps, then `next`. */
  function telling(side: Side, word: Word, next: string, name: string): Steps {
    const other = side === "writer" ? "reader" : "writer";
    const isMute =
      side === "writer"
        ? has("the writer takes the sleep and does not ring")
        : has("the reader takes the wait and does not ring");
    return {
      [name]: (state) => [
        go(state, side, load(state, side, word) !== 0 ? `${name}, exchange` : next),
      ],
      [`${name}, exchange`]: (state) => {
        const taken = exchange(state, side, word);
        if (taken === undefined) return [];
        const [was, after] = taken;
        return [go(was !== 0 && !isMute ? setBell(after, other, true) : after, side, next)];
      },
    };
  }

  const isEarlySleep = has("the writer looks whether the reader sleeps before it publishes");
  const isDeafToSleep = has("the writer never looks whether the reader sleeps");
  const writer: Steps = {
    start: (state) => {
      if (load(state, "writer", "written") === messageCount) return [];
      if (unread(state, "writer") <= mark) {
        return [go(state, "writer", isEarlySleep ? "takeSleep" : "publish")];
      }
      return [
        go(
          state,
          "writer",
          has("the writer looks first, and then says that it waits") ? "look" : "wait",
        ),
      ];
    },
    publish: (state) => {
      const written = load(state, "writer", "written") + 1;
      const next = isEarlySleep || isDeafToSleep ? "start" : "takeSleep";
      return [go(store(state, "writer", "written", written), "writer", next)];
    },
    ...telling("writer", "sleeps", isEarlySleep ? "publish" : "start", "takeSleep"),
    wait: (state) => {
      const isBlind =
        has("the writer does not look again when it has said that it waits") ||
        has("the writer looks first, and then says that it waits");
      return [go(store(state, "writer", "waits", 1), "writer", isBlind ? "waiting" : "look")];
    },
    look: (state) => {
      const isFull = unread(state, "writer") > mark;
      if (has("the writer looks first, and then says that it waits")) {
        return [go(state, "writer", isFull ? "wait" : "start")];
      }
      return [go(state, "writer", isFull ? "waiting" : "waitNot")];
    },
    waitNot: (state) => [go(store(state, "writer", "waits", 0), "writer", "start")],
    waiting: (state) => [
      ...(state.bell.writer ? [go(setBell(state, "writer", false), "writer", "start")] : []),
      // It may also see by itself that there is room; what it has said it leaves standing.
      ...(unread(state, "writer") <= mark ? [go(state, "writer", "start")] : []),
    ],
  };

  const isEarlyWait = has("the reader looks whether the writer waits before it gives room");
  const isDeafToWait = has("the reader never looks whether the writer waits");
  const isEarlyLook = has("the reader looks first, and then says that it sleeps");
  const reader: Steps = {
    // Looks for as long as it likes: it may sleep at any time that it finds nothing.
    poll: (state) => [
      go(
        state,
        "reader",
        unread(state, "reader") > 0
          ? isEarlyWait
            ? "takeWait"
            : "advance"
          : isEarlyLook
            ? "lookAgain"
            : "sleep",
      ),
      // A bell that comes while it is awake says nothing new.
      ...(state.bell.reader ? [setBell(state, "reader", false)] : []),
    ],
    advance: (state) => {
      const read = load(state, "reader", "read") + 1;
      const next = isEarlyWait || isDeafToWait ? "poll" : "takeWait";
      return [go(store(state, "reader", "read", read), "reader", next)];
    },
    ...telling("reader", "waits", isEarlyWait ? "advance" : "poll", "takeWait"),
    sleep: (state) => {
      const isBlind =
        isEarlyLook || has("the reader does not look again when it has said that it sleeps");
      return [go(store(state, "reader", "sleeps", 1), "reader", isBlind ? "asleep" : "lookAgain")];
    },
    lookAgain: (state) => {
      const isEmpty = unread(state, "reader") === 0;
      if (isEarlyLook) return [go(state, "reader", isEmpty ? "sleep" : "poll")];
      return [go(state, "reader", isEmpty ? "asleep" : "wake")];
    },
    asleep: (state) =>
      state.bell.reader ? [go(setBell(state, "reader", false), "reader", "wake")] : [],
    wake: (state) => [go(store(state, "reader", "sleeps", 0), "reader", "poll")],
  };
  return { writer, reader };
}

/** What is wrong with a state, if anything is. */
function wrongWith({ memory, delayed, bell, at }: State, { mark }: Model): string | undefined {
  // Whoever has still something to do or to show may yet ring.
  const isAtRest = (side: Side, places: string[]): boolean =>
    places.includes(at[side]) && delayed[side].length === 0;
  const unread = memory.written - memory.read;
  if (unread > 0 && at.reader === "asleep" && !bell.reader) {
    if (isAtRest("writer", ["start", "wait", "look", "waiting"])) return "a reader is left asleep";
  }
  if (unread <= mark && at.writer === "waiting" && !bell.writer) {
    if (isAtRest("reader", ["poll", "sleep", "lookAgain", "asleep", "wake"])) {
      return "a writer is left waiting";
    }
  }
  return undefined;
}

interface Exploration {
  readonly stateCount: number;
  /** States in which nobody can go on. */
  readonly ends: readonly State[];
  readonly wrong: ReadonlySet<string>;
}

/** Goes through every state that there is a way to. */
function explore(model: Model): Exploration {
  const steps = programs(model);
  const nothing: readonly Store[] = [];
  const first: State = {
    memory: { written: 0, read: 0, sleeps: 0, waits: 0 },
    delayed: { writer: nothing, reader: nothing },
    bell: { writer: false, reader: false },
    at: { writer: "start", reader: "poll" },
  };
  const seen = new Set([JSON.stringify(first)]);
  const left = [first];
  const ends: State[] = [];
  const wrong = new Set<string>();
  for (let state = left.pop(); state !== undefined; state = left.pop()) {
    const fault = wrongWith(state, model);
    if (fault !== undefined) wrong.add(fault);
    const next = (["writer", "reader"] as const).flatMap((side) => [
      ...(steps[side][state.at[side]] as Steps[string])(state),
      ...shown(state, side),
    ]);
    if (next.length === 0) ends.push(state);
    for (const one of next) {
      const key = JSON.stringify(one);
      if (seen.has(key)) continue;
      seen.add(key);
      left.push(one);
    }
  }
  return { stateCount: seen.size, ends, wrong };
}

/** The oldest store that was delayed is seen at last. */
function shown(state: State, side: Side): State[] {
  const [oldest, ...rest] = state.delayed[side];
  if (oldest === undefined) return [];
  const [word, value] = oldest;
  return [
    {
      ...state,
      memory: { ...state.memory, [word]: value },
      delayed: { ...state.delayed, [side]: rest },
    },
  ];
}

const sizes = [
  { messageCount: 3, mark: 3 },
  { messageCount: 5, mark: 0 },
  { messageCount: 6, mark: 1 },
  { messageCount: 6, mark: 3 },
];

describe.each(sizes)("with $messageCount messages, and $mark of them unread at most", (size) => {
  test("nobody is left asleep or waiting, whoever is faster", () => {
    const { stateCount, ends, wrong } = explore(size);
    expect([...wrong]).toEqual([]);
    // It ends in one way: all has been read, and the reader sleeps.
    expect(ends.length).toBeGreaterThan(0);
    for (const { memory, at } of ends) {
      expect([memory.written, memory.read]).toEqual([size.messageCount, size.messageCount]);
      expect(at).toEqual({ writer: "start", reader: "asleep" });
    }
    expect(stateCount).toBeGreaterThan(100);
  });
});

const model = { messageCount: 4, mark: 1 };

describe("the explorer finds what is wrong if", () => {
  test.each(Object.entries(faults))("%s: %s", (fault, what) => {
    const { wrong } = explore({ ...model, fault: fault as Fault });
    expect([...wrong]).toContain(what);
  });

  test("stores may be seen late, as they may without Atomics", () => {
    const { wrong } = explore({ ...model, isDelayed: true });
    expect([...wrong].sort()).toEqual(["a reader is left asleep", "a writer is left waiting"]);
  });
});
