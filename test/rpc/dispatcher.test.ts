import { getEventListeners } from "node:events";

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import { Dispatcher } from "../../src/rpc/dispatcher.ts";
import type { Service } from "../../src/rpc/service.ts";
import { decodeError } from "../../src/frame/error-payload.ts";
import { FrameKind } from "../../src/frame/frame-header.ts";
import { scripted } from "../support/connections.ts";
import { settled } from "../support/fake-transport.ts";
import { request, type TestFrame } from "../support/frames.ts";
import { RecordedCall, type TextHandler, textService } from "../support/text-service.ts";

const echoService = textService("test.Echo", "Say", "Shout");
const logService = textService("test.Log", "Log");

function served(service: object, handler: object) {
  return { service: service as Service<object, object>, handler };
}

/** A dispatcher of test.Echo, and how to call its method Say. */
function newDispatcher(say: TextHandler[string], maxRunningHandlers = 100) {
  const handler: TextHandler = { say, shout: (text) => text.toUpperCase() };
  const dispatcher = new Dispatcher([served(echoService, handler)], { maxRunningHandlers });
  function call(text: string, methodId = 0): RecordedCall {
    const recorded = new RecordedCall(methodId, text);
    dispatcher.handle(recorded.call, recorded.request, 0, recorded.request.byteLength, false);
    return recorded;
  }
  return { dispatcher, call };
}

/** A handler whose calls wait until the test lets them go on. */
function heldHandler() {
  const started: string[] = [];
  const release: (() => void)[] = [];
  const say = (text: string): Promise<string> => {
    started.push(text);
    return new Promise((resolve) => release.push(() => resolve(text)));
  };
  return { say, started, release };
}

describe("Dispatcher", () => {
  test("answers with a plain value in the same turn: no promise, no entry", () => {
    const { call, dispatcher } = newDispatcher((text) => `${text}!`);

    const recorded = call("hello");

    expect(recorded.answers).toEqual(["hello!"]);
    expect([recorded.isDeferred, dispatcher.runningCount]).toEqual([false, 0]);
  });

  test("answers with what a promise resolves to, when it does", async () => {
    const { call, dispatcher } = newDispatcher(async (text) => `${text}!`);

    const recorded = call("hello");
    const before = [recorded.answers.length, recorded.isDeferred, dispatcher.runningCount];
    await settled();

    expect(before).toEqual([0, true, 1]);
    expect(recorded.answers).toEqual(["hello!"]);
    expect(dispatcher.runningCount).toBe(0);
  });

  test("fails in the same turn with what a handler throws", () => {
    const error = new PlugError("not_found", "no value");
    const { call } = newDispatcher(() => {
      throw error;
    });

    expect(call("hello").answers).toEqual([error]);
  });

  test("fails with what a promise rejects with", async () => {
    const error = new Error("later");
    const { call, dispatcher } = newDispatcher(() => Promise.reject(error));

    const recorded = call("hello");
    await settled();

    expect(recorded.answers).toEqual([error]);
    expect(dispatcher.runningCount).toBe(0);
  });

  test.each([
    ["at once", () => 42],
    ["later", async () => 42],
  ])("fails with internal for what is not a response, returned %s", async (_, say) => {
    const { call } = newDispatcher(say);

    const recorded = call("hello");
    await settled();

    const [error] = recorded.answers as [PlugError];
    expect(error.code).toBe("internal");
    expect(error.rawMessage).toBe(
      "the handler of test.Echo.Say returned what is not a response: cannot make a test.Text: expected a text, got number",
    );
  });

  // What a handler returns is its own affair, not the caller's: not invalid_argument.
  test("fails with internal for a response that cannot be encoded", async () => {
    const handler = { say: () => "unencodable", shout() {} };
    const peer = scripted({
      handler: new Dispatcher([served(echoService, handler)], { maxRunningHandlers: 1 }),
    });

    peer.deliver(request(1, new TextEncoder().encode("hello"), 0));

    const [answer] = (await peer.sent()) as [TestFrame];
    expect(answer.kind).toBe(FrameKind.Error);
    expect(decodeError(answer.payload).code).toBe("internal");
  });

  test("fails with what is wrong with the request, and runs nothing", () => {
    const { started, say } = heldHandler();
    const { call } = newDispatcher(say);

    const recorded = call("unreadable");

    expect(recorded.answers).toMatchObject([{ code: "data_loss" }]);
    expect(started).toEqual([]);
  });

  test("fails with unimplemented for a method id that there is not, naming it", () => {
    const { call } = newDispatcher((text) => text);

    expect(call("hello", 2).answers).toMatchObject([
      { code: "unimplemented", rawMessage: "there is no method 2 here" },
    ]);
  });

  test("numbers the methods of several services one after the other", () => {
    const dispatcher = new Dispatcher(
      [
        served(echoService, { say: () => "say", shout: () => "shout" }),
        served(logService, { log: () => "log" }),
      ],
      { maxRunningHandlers: 10 },
    );
    const calls = [0, 1, 2].map((id) => new RecordedCall(id, "x"));

    for (const { call, request } of calls) dispatcher.handle(call, request, 0, 1, false);

    expect(calls.map(({ answers }) => answers[0])).toEqual(["say", "shout", "log"]);
    expect(calls.map(({ call }) => `${call.service}.${call.method}`)).toEqual([
      "test.Echo.Say",
      "test.Echo.Shout",
      "test.Log.Log",
    ]);
  });

  test("calls the handler's method on the handler, with a context that is the call", () => {
    const seen: unknown[] = [];
    class Handler {
      prefix = ">";
      say(text: string, context: unknown): string {
        seen.push(context);
        return this.prefix + text;
      }
      shout(): string {
        return "";
      }
    }
    const dispatcher = new Dispatcher([served(echoService, new Handler())], {
      maxRunningHandlers: 1,
    });
    const recorded = new RecordedCall(0, "hello");

    dispatcher.handle(recorded.call, recorded.request, 0, recorded.request.byteLength, false);

    expect(recorded.answers).toEqual([">hello"]);
    expect(seen).toEqual([recorded.call]);
  });

  // "Must not throw": what leaves handle() would end the connection, with every call on it.
  test.each([
    [
      "then throws",
      {
        then() {
          throw new Error("bad thenable");
        },
      },
    ],
    [
      "then cannot be read",
      Object.defineProperty({}, "then", {
        get() {
          throw new Error("bad thenable");
        },
      }),
    ],
  ])(
    "fails the call, and only that call, when a handler returns an object whose %s",
    async (_, bad) => {
      const { call, dispatcher } = newDispatcher((text) => (text === "bad" ? bad : text));

      const recorded = call("bad");
      await settled();

      expect(recorded.answers).toHaveLength(1);
      expect(recorded.answers[0]).toBeInstanceOf(Error);
      expect(dispatcher.runningCount).toBe(0);
      expect(call("good").answers).toEqual(["good"]);
    },
  );

  test("counts a handler once, also if its thenable settles twice", async () => {
    const twice = {
      then(resolve: (value: string) => void, reject: (error: Error) => void) {
        resolve("first");
        resolve("second");
        reject(new Error("third"));
      },
    };
    const { call, dispatcher } = newDispatcher(() => twice);

    const recorded = call("hello");
    await settled();

    expect(recorded.answers).toEqual(["first"]);
    expect(dispatcher.runningCount).toBe(0);
  });
});

describe("maxRunningHandlers", () => {
  test("runs that many at once, and the others in the order in which they came", async () => {
    const { say, started, release } = heldHandler();
    const { call, dispatcher } = newDispatcher(say, 2);
    const texts = ["a", "b", "c", "d", "e"];
    const calls = texts.map((text) => call(text));
    const startedAtOnce = [...started];

    for (let i = 0; i < texts.length; i++) {
      release[i]?.();
      await settled();
      expect(dispatcher.runningCount).toBeLessThanOrEqual(2);
    }

    expect(startedAtOnce).toEqual(["a", "b"]);
    expect(started).toEqual(texts);
    expect(calls.flatMap(({ answers }) => answers)).toEqual(texts);
    expect(calls.map(({ isDeferred }) => isDeferred)).toEqual(texts.map(() => true));
  });

  test("does not count handlers that answer at once", () => {
    const { call } = newDispatcher((text) => text, 1);

    expect(["a", "b", "c"].map((text) => call(text).answers[0])).toEqual(["a", "b", "c"]);
  });

  test("lets waiting calls go on after one that answers at once", async () => {
    const release: (() => void)[] = [];
    const { call } = newDispatcher(
      (text) =>
        text === "slow" ? new Promise((resolve) => release.push(() => resolve(text))) : text,
      1,
    );
    const calls = ["slow", "a", "b", "c"].map((text) => call(text));

    release[0]?.();
    await settled();

    expect(calls.map(({ answers }) => answers[0])).toEqual(["slow", "a", "b", "c"]);
  });

  test("makes room when a handler rejects or throws", async () => {
    const { call, dispatcher } = newDispatcher(async (text) => {
      if (text === "bad") throw new Error("bad");
      return text;
    }, 1);
    const calls = ["bad", "bad", "good"].map((text) => call(text));

    await settled();

    expect(calls[2]?.answers).toEqual(["good"]);
    expect(dispatcher.runningCount).toBe(0);
  });

  test("never starts a call that was given up while it waited", async () => {
    const { say, started, release } = heldHandler();
    const { call } = newDispatcher(say, 1);
    const calls = ["a", "b", "c"].map((text) => call(text));

    calls[1]?.cancel();
    release[0]?.();
    await settled();

    expect(started).toEqual(["a", "c"]);
    expect(calls[1]?.answers).toMatchObject([{ code: "cancelled" }]);
  });

  test("keeps nothing of 10,000 calls that were given up behind a stuck handler", async () => {
    const { say, started, release } = heldHandler();
    const { call } = newDispatcher(say, 1);
    call("stuck");
    const kept = Array.from({ length: 10_000 }, (_, i) => {
      const recorded = call(`waiting ${i}`);
      recorded.cancel();
      return new WeakRef(recorded);
    });
    call("last");

    // What a test still holds in its frames is not collected, so it goes by most of them.
    await Bun.sleep(0);
    Bun.gc(true);
    const keptCount = kept.filter((reference) => reference.deref() !== undefined).length;
    release[0]?.();
    await settled();

    expect(keptCount).toBeLessThan(100);
    expect(started).toEqual(["stuck", "last"]);
  });

  test("leaves no listener of its own on the signal of a call that waited and runs", async () => {
    const { say, release } = heldHandler();
    const { call } = newDispatcher(say, 1);
    call("a");
    const waited = call("b");

    release[0]?.();
    await settled();

    expect(getEventListeners(waited.call.signal, "abort")).toEqual([]);
  });
});

describe("Dispatcher.idle", () => {
  test("resolves at once if nothing runs", async () => {
    const { dispatcher } = newDispatcher((text) => text);

    expect(await dispatcher.idle()).toBeUndefined();
  });

  test("resolves when the last handler is through, and those that waited for it", async () => {
    const { say, release } = heldHandler();
    const { call, dispatcher } = newDispatcher(say, 1);
    call("a");
    call("b");
    let isIdle = false;
    void dispatcher.idle().then(() => (isIdle = true));

    release[0]?.();
    await settled();
    const before = isIdle;
    release[1]?.();
    await settled();

    expect([before, isIdle]).toEqual([false, true]);
  });

  test("resolves for everybody who waits for it", async () => {
    const { say, release } = heldHandler();
    const { call, dispatcher } = newDispatcher(say, 1);
    call("a");
    const seen: number[] = [];
    void dispatcher.idle().then(() => seen.push(1));
    void dispatcher.idle().then(() => seen.push(2));

    release[0]?.();
    await settled();

    expect(seen).toEqual([1, 2]);
  });
});
