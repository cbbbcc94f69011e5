// Calls that are made on behalf of another one: what they have of it, and what is left of them.

import { getEventListeners } from "node:events";

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import { IncomingCall } from "../../src/call/incoming-call.ts";
import { type CallTerms, OutgoingCall, parentOf } from "../../src/call/outgoing-call.ts";
import { placeCall } from "../../src/call/place-call.ts";
import { FrameFlag } from "../../src/frame/frame-header.ts";
import { Metadata } from "../../src/metadata/metadata.ts";
import { Clock } from "../support/clock.ts";
import { scripted } from "../support/connections.ts";
import { errorFrame, frame, request, response } from "../support/frames.ts";
import { bytes, bytesReader, bytesWriter, KeepingHandler, route } from "../support/payloads.ts";
import { rejection } from "../support/rejection.ts";

/** A parent that counts its children, as the test sees it. */
class CountingParent extends IncomingCall {
  readonly children = new Set<unknown>();
  adoptCount = 0;

  constructor(deadlineAt = 0, headers?: Metadata) {
    const responder = { respond() {}, fail() {}, defer() {}, messages: () => undefined as never };
    super(responder, 7, 2, deadlineAt, 0, 0, false, headers);
    this.service = "test.Parent";
    this.method = "Run";
  }

  override adopt(child: never): void {
    this.adoptCount += 1;
    this.children.add(child);
    super.adopt(child);
  }

  override disown(child: never): void {
    this.children.delete(child);
    super.disown(child);
  }
}

function newCall(terms: CallTerms) {
  const settled: unknown[] = [];
  const call: OutgoingCall = new OutgoingCall(
    { owns: () => true, abandon: (given, error) => given.reject(error), settled() {} },
    route,
    bytesWriter as never,
    bytes(1),
    bytesReader,
    terms,
    (value) => settled.push(value),
    (error) => settled.push(error),
  );
  return { call, settled };
}

describe("a call that is made for another one", () => {
  test("is its child until it is settled, however that is", () => {
    const ends: readonly ((call: OutgoingCall) => void)[] = [
      (call) => call.resolve(1),
      (call) => call.reject(new PlugError("aborted", "x")),
      (call) => call.due(),
      (call) => call.handleEvent(),
      (call) => call.parentAborted(),
    ];
    for (const end of ends) {
      const parent = new CountingParent();
      const { call, settled } = newCall({ context: parent });
      const before = [...parent.children];

      end(call);

      expect([before, [...parent.children], settled.length]).toEqual([[call], [], 1]);
    }
  });

  test("costs no signal: neither the parent's nor one of its own is made or listened to", () => {
    const parent = new CountingParent();
    const { call } = newCall(parent as CallTerms);

    expect(parent.children.has(call)).toBe(true);
    expect(getEventListeners(parent.signal, "abort")).toEqual([]);
  });

  test("is cancelled with it, and has its reason as the cause", () => {
    const parent = new CountingParent();
    const { settled } = newCall({ context: parent });
    const reason = new PlugError("cancelled", "the caller gave the call up");

    parent.abort(reason);

    const error = settled[0] as PlugError;
    expect(error.message).toBe("[cancelled] test.Echo.Echo was cancelled by its caller");
    expect(error.cause).toBe(reason);
    expect(parent.children.size).toBe(0);
  });

  test("is cancelled with it for whatever reason that ends, but for its deadline", () => {
    const codes = (["unavailable", "protocol_error", "deadline_exceeded"] as const).map((code) => {
      const parent = new CountingParent();
      const { settled } = newCall({ context: parent });
      parent.abort(new PlugError(code, "x"));
      return (settled[0] as PlugError).code;
    });

    expect(codes).toEqual(["cancelled", "cancelled", "deadline_exceeded"]);
  });

  test("is given up before the handler hears of the end, and once", () => {
    const parent = new CountingParent();
    const { settled } = newCall({ context: parent });
    let settledBefore = 0;
    parent.signal.addEventListener("abort", () => (settledBefore = settled.length));

    parent.abort(new PlugError("cancelled", "x"));
    parent.abort(new PlugError("cancelled", "y"));

    expect([settledBefore, settled.length]).toEqual([1, 1]);
  });

  test("may settle others of the parent while that tells them: each settles once", () => {
    const parent = new CountingParent();
    const first = newCall({ context: parent });
    const second = newCall({ context: parent });
    // As a handler does that waits for whichever comes first.
    const { call } = first;
    call.parentAborted = () => {
      second.call.reject(new PlugError("aborted", "the other one has gone"));
      OutgoingCall.prototype.parentAborted.call(call);
    };

    parent.abort(new PlugError("cancelled", "x"));

    expect([first.settled.length, second.settled.length]).toEqual([1, 1]);
    expect((second.settled[0] as PlugError).code).toBe("aborted");
  });

  test("is told nothing of a parent that ends after it", () => {
    const parent = new CountingParent();
    const { call, settled } = newCall({ context: parent });
    call.resolve(1);

    parent.abort(new PlugError("cancelled", "x"));

    expect(settled).toEqual([1]);
  });

  test("still hears of its own signal, and listens to nothing when it is settled", () => {
    const parent = new CountingParent();
    const controller = new AbortController();
    const { settled } = newCall({ context: parent, signal: controller.signal });
    const before = getEventListeners(controller.signal, "abort").length;
    const reason = new Error("enough");

    controller.abort(reason);

    expect((settled[0] as PlugError).cause).toBe(reason);
    expect([before, getEventListeners(controller.signal, "abort").length]).toEqual([1, 0]);
    expect(parent.children.size).toBe(0);
    expect(parent.abortReason).toBeUndefined();
  });

  test("lets go of its own signal when its parent ends", () => {
    const parent = new CountingParent();
    const { signal } = new AbortController();
    newCall({ context: parent, signal });

    parent.abort(new PlugError("cancelled", "x"));

    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test.each([
    ["the parent's", 300, undefined, 300],
    ["its own", 0, 200, 200],
    ["its own, which is earlier", 300, 200, 200],
    ["the parent's, which is earlier", 100, 200, 100],
  ])("has for its deadline %s", (_, parentMs, timeoutMs, expectedMs) => {
    using clock = new Clock();
    const parent = new CountingParent(parentMs === 0 ? 0 : clock.nowMs + parentMs);

    const { call } = newCall({ context: parent, timeoutMs });

    expect(call.deadlineAt).toBe(clock.nowMs + expectedMs);
    expect(call.hasDeadline).toBe(true);
  });

  test("says whose deadline it was that has passed", () => {
    using clock = new Clock();
    const parent = new CountingParent(clock.nowMs + 100);
    const [inherited, own] = [
      newCall({ context: parent, timeoutMs: 200 }),
      newCall({ context: parent, timeoutMs: 50 }),
    ];

    own.call.due();
    inherited.call.due();

    expect([own, inherited].map(({ settled }) => (settled[0] as PlugError).rawMessage)).toEqual([
      "test.Echo.Echo was not answered within timeoutMs 50",
      "test.Echo.Echo was not answered within the deadline of the call that it was made for",
    ]);
  });

  test("is nested, with the context as its options and with options around it", () => {
    const parent = new CountingParent();

    expect(parentOf(parent as CallTerms)).toBe(parent);
    expect(parentOf({ context: parent, timeoutMs: 5 })).toBe(parent);
    expect(parentOf({ context: {} })).toBeUndefined();
    expect(parentOf({})).toBeUndefined();
  });
});

describe("placeCall for a parent", () => {
  function place(terms: CallTerms) {
    let begunCount = 0;
    let isNested: boolean | undefined;
    const promise = placeCall(
      {
        owns: () => true,
        refusal: (nested) => void (isNested = nested) as undefined,
        begin: (call) => {
          begunCount += 1;
          call.resolve(bytes());
        },
        abandon() {},
        settled() {},
      },
      route,
      bytesWriter,
      bytes(1),
      bytesReader,
      terms,
    );
    return { promise, begunCount: () => begunCount, isNested: () => isNested };
  }

  test("asks whether a nested call may be placed", async () => {
    const { promise, isNested, begunCount } = place({ context: new CountingParent() });

    await promise;

    expect([isNested(), begunCount()]).toEqual([true, 1]);
  });

  test("that has ended rejects with cancelled and its reason, and adopts nothing", async () => {
    const parent = new CountingParent();
    const reason = new PlugError("unavailable", "closed");
    parent.abort(reason);
    const { promise, begunCount } = place(parent as CallTerms);

    const error = await rejection(promise);

    expect([error.code, error.cause, begunCount()]).toEqual(["cancelled", reason, 0]);
    expect(parent.adoptCount).toBe(0);
  });

  test("whose deadline has passed rejects with deadline_exceeded, and adopts nothing", async () => {
    using clock = new Clock();
    const parent = new CountingParent(clock.nowMs + 10);
    clock.advance(10);
    const { promise, begunCount } = place({ context: parent, timeoutMs: 1_000 });

    expect((await rejection(promise)).code).toBe("deadline_exceeded");
    expect([begunCount(), parent.adoptCount]).toEqual([0, 0]);
  });
});

describe("a call of a handler, on a connection,", () => {
  async function handling(requestBytes: Uint8Array = request(9)) {
    const handler = new KeepingHandler();
    const peer = scripted({ handler });
    peer.deliver(requestBytes);
    const { call } = handler.calls[0] as KeepingHandler["calls"][0];
    return { peer, context: call };
  }

  test("ends with the call that it was made for: that is cancelled, and so is it", async () => {
    const { peer, context } = await handling();
    const result = rejection(peer.call(bytes(1), { context }));
    await peer.sent();

    peer.deliver(frame({ kind: 5, requestId: 9 }));

    expect((await result).code).toBe("cancelled");
    const kinds = (await peer.sent()).map(({ kind, requestId }) => [kind, requestId]);
    expect(kinds).toEqual([
      [3, 9],
      [5, 1],
    ]);
    peer.deliver(errorFrame(1, "cancelled", "given up"));
    const { idCount, inFlightCount, incomingCount } = peer.connection;
    expect([idCount, inFlightCount, incomingCount]).toEqual([0, 0, 0]);
  });

  test("ends with the deadline of the call that it was made for, and leaves none behind", async () => {
    using clock = new Clock();
    const { peer, context } = await handling(
      frame({ flags: FrameFlag.Deadline, requestId: 9, payload: [100, 0, 0, 0] }),
    );
    const result = rejection(peer.call(bytes(1), context as CallTerms));
    const [sent] = await peer.sent();
    const before = peer.connection.deadlineCount;

    clock.advance(101);

    expect((await result).code).toBe("deadline_exceeded");
    expect([before, peer.connection.deadlineCount]).toEqual([2, 0]);
    expect(sent?.payload.subarray(0, 4)).toEqual(bytes(100, 0, 0, 0));
    expect(context.abortReason?.code).toBe("deadline_exceeded");
  });

  test("goes on when the call that it was made for is answered", async () => {
    const { peer, context } = await handling();
    const result = peer.call(bytes(1), { context });
    context.respond(bytesWriter, bytes(2));

    peer.deliver(response(1, [3]));

    expect(await result).toEqual(bytes(3));
  });

  test("is rejected with the connection's reason when that ends", async () => {
    const { peer, context } = await handling();
    const result = rejection(peer.call(bytes(1), { context }));
    const reason = new PlugError("plugin_exited", "gone");

    peer.connection.close(reason);

    expect(await result).toBe(reason);
    expect(context.abortReason).toBe(reason);
  });

  test("hands its trace context on, and no other header", async () => {
    const trace = new Metadata({ traceparent: "00-1-2-03", other: "x" });
    const parent = new CountingParent(0, trace);

    expect(parent.headers?.toJSON()).toEqual({ traceparent: "00-1-2-03" });
    expect(parent.requestHeaders).toBe(trace);
    expect(new CountingParent(0, new Metadata({ other: "x" })).headers).toBeUndefined();
    expect(new CountingParent().headers).toBeUndefined();
  });
});

describe("an OutgoingCall tells", () => {
  function listening() {
    const told: string[] = [];
    const { call } = newCall({
      onHeader: (headers) => void told.push(`headers ${headers.get("a")}`),
      onTrailer: (trailers) => void told.push(`trailers ${trailers.get("a")}`),
    });
    return { call, told };
  }

  test("its headers once, the first ones", () => {
    const { call, told } = listening();

    call.tellHeaders(() => new Metadata({ a: "1" }));
    call.tellHeaders(() => new Metadata({ a: "2" }));
    call.trailers = new Metadata({ a: "3" });
    call.tellMetadata();

    expect(told).toEqual(["headers 1", "trailers 3"]);
    expect(call.isHeaderTold).toBe(true);
  });

  test("that there were none, with the answer", () => {
    const { call, told } = listening();

    call.tellMetadata();

    expect(told).toEqual(["headers undefined", "trailers undefined"]);
  });

  test("nothing to nobody", () => {
    const { call } = newCall({});

    call.tellHeaders(() => {
      throw new Error("not asked for where nobody listens");
    });
    call.tellTrailers();

    expect(call.isHeaderTold).toBe(true);
  });

  test("on a connection, headers before the answer and trailers with it, once each", async () => {
    const peer = scripted();
    const told: string[] = [];
    const result = peer.call(bytes(), {
      onHeader: (headers) => void told.push(`headers ${headers.get("a")}`),
      onTrailer: (trailers) => void told.push(`trailers ${trailers.get("a")}`),
    });
    void result.then(() => told.push("answer"));
    const ab = bytes(0x0a, 6, 0x0a, 1, 0x61, 0x12, 1, 0x62);

    peer.deliver(frame({ kind: 9, flags: FrameFlag.FromCallee, payload: ab }));
    const early = [...told];
    peer.deliver(
      frame({
        kind: 2,
        flags: FrameFlag.FromCallee | FrameFlag.Metadata,
        payload: [ab.byteLength, 0, 0, 0, ...ab],
      }),
    );
    await result;

    expect([early, told]).toEqual([["headers b"], ["headers b", "trailers b", "answer"]]);
  });

  test("and ends the connection for headers that come twice", () => {
    const peer = scripted();
    void peer.call(bytes()).catch(() => {});
    const headers = frame({ kind: 9, flags: FrameFlag.FromCallee });

    peer.deliver(headers, headers);

    expect(peer.connection.closeReason?.message).toContain("headers frame for request id 1 is out");
  });

  test.each(["onHeader", "onTrailer"] as const)(
    "what %s throws is the end of its call, and of no other",
    async (name) => {
      const peer = scripted();
      const broken = rejection(
        peer.call(bytes(), {
          [name]: () => {
            throw new PlugError("data_loss", "not as it should be");
          },
        }),
      );
      const other = peer.call(bytes());

      peer.deliver(response(1), response(2, [9]));

      expect((await broken).code).toBe("data_loss");
      expect(await other).toEqual(bytes(9));
      expect(peer.connection.idCount).toBe(0);
    },
  );
});
