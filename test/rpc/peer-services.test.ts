// References and offers of one side, against a peer that may do anything.

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";

import { IncomingCall } from "../../src/call/incoming-call.ts";
import { defaultLimits } from "../../src/call/limits.ts";
import { Connection } from "../../src/connection/connection.ts";
import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { encodeService } from "../../src/frame/service-payload.ts";
import { Dispatcher } from "../../src/rpc/dispatcher.ts";
import { PeerServices, type PeerServicesOptions } from "../../src/rpc/peer-services.ts";
import type { Ref } from "../../src/rpc/ref.ts";
import type { Service } from "../../src/rpc/service.ts";
import { codeOf, LineLog } from "../peer/fixture/line-log.ts";
import { Logger } from "../peer/gen/peer_plug.ts";
import { joined } from "../support/cuts.ts";
import { FakeTransport, settled } from "../support/fake-transport.ts";
import { frame, framesOf, response, type TestFrame, u32 } from "../support/frames.ts";
import { protobuf } from "../support/handshake.ts";
import { rejection, thrown } from "../support/rejection.ts";

type AnyService = Service<object, object>;
const service = Logger as unknown as AnyService;
const origin = 0x1111;
const peerOrigin = 0x2222;
const methods = ["Log", "Tail", "LogAll", "Mirror"];
const firstObjectMethodId = 0x8000;

/** One side, whose peer is the test. */
function oneSide(options: Partial<PeerServicesOptions> = {}) {
  const transport = new FakeTransport();
  const peer: PeerServices = new PeerServices({
    origin,
    peerOrigin,
    isHost: true,
    maxReferences: 1_000_000,
    versions: undefined,
    interceptors: [],
    target: { connection: () => connection },
    ...options,
  });
  const handler = new Dispatcher([], { maxRunningHandlers: 10, peer });
  const connection: Connection = new Connection({
    transport,
    limits: defaultLimits,
    peerLimits: defaultLimits,
    handler,
    references: peer,
    events: { onClosed: () => peer.close() },
  });
  peer.attach(connection);
  connection.start();
  return {
    peer,
    connection,
    refer: (handler = new LineLog()) => peer.refer(service, handler),
    resolve: (ref: unknown) => peer.resolve(service, ref) as Logger & AsyncDisposable,
    deliver: (...frames: readonly Uint8Array[]) => {
      for (const bytes of frames) transport.deliver(bytes);
    },
    async sent(): Promise<TestFrame[]> {
      await settled();
      return framesOf(transport.takeWritten());
    },
  };
}

function serviceFrame(payload: Uint8Array | readonly number[]): Uint8Array {
  return frame({ kind: FrameKind.Service, requestId: 0, payload });
}

function described(name = "peer.Logger", names: readonly string[] = methods, version = 1) {
  return serviceFrame(
    encodeService({ name, versions: [version], methods: names, firstMethodId: 0 }),
  );
}

function release(payload: Uint8Array): Uint8Array {
  return frame({ kind: FrameKind.Release, requestId: 0, payload });
}

function toObject(requestId: number, methodId: number, payload: Uint8Array): Uint8Array {
  return frame({
    kind: FrameKind.Request,
    requestId,
    methodId: firstObjectMethodId + methodId,
    payload,
  });
}

function theirRef(object: number, fields: Partial<Ref> = {}): Ref {
  return { $typeName: "plugpb.Ref", object, origin: peerOrigin, service: "peer.Logger", ...fields };
}

function errorText(sent: readonly TestFrame[]): string {
  return Buffer.concat(sent.map(({ payload }) => payload)).toString();
}

const log = protobuf([[1, "x"]]);

describe("what goes out", () => {
  test("a service is told once, before the first reference to it", async () => {
    const side = oneSide();
    const refs = [side.refer(), side.refer()];
    expect(refs.map((ref) => [ref.object, ref.origin, ref.service])).toEqual([
      [1, origin, "peer.Logger"],
      [2, origin, "peer.Logger"],
    ]);
    const sent = await side.sent();
    expect(sent.map(({ kind, requestId }) => [kind, requestId])).toEqual([[FrameKind.Service, 0]]);
    expect(Buffer.from(sent[0]?.payload ?? []).toString("latin1")).toContain("peer.Logger");
  });

  test("a service whose methods do not fit into a frame cannot be referred to", () => {
    const side = oneSide();
    const [method] = service.methods;
    const long = Array.from({ length: 700 }, (_, i) => ({ ...method, name: `${i}`.repeat(50) }));
    const handler = new LineLog();
    const table = { ...service, methods: long } as unknown as AnyService;
    const error = thrown(() => side.peer.refer(table, handler));
    expect(error.code).toBe("resource_exhausted");
    expect(error.message).toContain("65536");
    expect(side.peer.referenceCounts.made).toBe(0);
    expect(side.connection.closeReason).toBeUndefined();
  });

  test("a call to an object carries its id, and its release comes behind it, once", async () => {
    const side = oneSide();
    side.deliver(described());
    const logger = side.resolve(theirRef(7));
    const answer = logger.log("x");
    await logger[Symbol.asyncDispose]();
    const [request] = await side.sent();
    expect(request).toMatchObject({ kind: FrameKind.Request, methodId: firstObjectMethodId });
    expect(Buffer.from(request?.payload ?? [])).toEqual(Buffer.concat([u32(7), log]));
    side.deliver(response(request?.requestId as number, protobuf([[1, "1"]])));
    expect(await answer).toBe("1");
    const sent = await side.sent();
    expect(sent.map(({ kind, payload }) => [kind, [...payload]])).toEqual([
      [FrameKind.Release, [7, 0, 0, 0]],
    ]);
    expect(side.peer.referenceCounts).toEqual({ made: 0, held: 0 });
  });

  test("methods go by name, in whatever order the peer has them", async () => {
    const side = oneSide();
    side.deliver(described("peer.Logger", ["Mirror", "Other", "Log"]));
    const logger = side.resolve(theirRef(7));
    void logger.log("x").catch(() => {});
    const [request] = await side.sent();
    expect(request?.methodId).toBe(firstObjectMethodId + 2);
    const error = await rejection(logger.logAll([]));
    expect([error.code, error.rawMessage]).toEqual([
      "unimplemented",
      "the plugin does not have peer.Logger.LogAll",
    ]);
    side.connection.close(new PlugError("unavailable", "over"));
  });

  test("two editions of one service are not mixed up", () => {
    const side = oneSide();
    side.refer();
    const other = { ...service, methods: service.methods.toReversed() };
    // The peer knows one list of methods by the name, so objects of two cannot be told apart.
    const error = thrown(() => side.peer.refer(other, new LineLog()));
    expect(error.code).toBe("failed_precondition");
    // The same list again is the same edition, wherever its table comes from.
    expect(side.peer.refer({ ...service }, new LineLog()).object).toBe(2);
  });

  test("no reference can be made where maxReferences is 0", () => {
    const side = oneSide({ maxReferences: 0 });
    expect(thrown(() => side.refer()).code).toBe("resource_exhausted");
  });
});

describe("resolve refuses", () => {
  test("a service that the peer has not told the methods of, or in another version", () => {
    const side = oneSide();
    const untold = thrown(() => side.resolve(theirRef(1)));
    expect([untold.code, untold.rawMessage]).toEqual([
      "unimplemented",
      "the reference is of peer.Logger version unknown; this side knows version 1",
    ]);
    side.deliver(described("peer.Logger", methods, 2));
    expect(thrown(() => side.resolve(theirRef(1))).message).toContain("version 2");
    expect(side.peer.referenceCounts.held).toBe(0);
  });

  test("references of nowhere", () => {
    const side = oneSide();
    side.deliver(described());
    for (const [ref, code] of [
      [theirRef(1, { origin: 0 }), "failed_precondition"],
      [theirRef(1, { origin: 0x3333 }), "failed_precondition"],
      [theirRef(1, { origin }), "failed_precondition"],
      [theirRef(1, { service: "" }), "invalid_argument"],
      [theirRef(1, { service: "peer.Desk" }), "invalid_argument"],
      [theirRef(0), "invalid_argument"],
      [undefined, "invalid_argument"],
      [{ object: 1, origin: peerOrigin, service: "peer.Logger" }, "invalid_argument"],
    ] as const) {
      expect([ref, thrown(() => side.resolve(ref)).code]).toEqual([ref, code]);
    }
    expect(side.peer.referenceCounts.held).toBe(0);
  });
});

describe("a peer", () => {
  test("may release what it does not hold, as often as it likes", async () => {
    const side = oneSide();
    const kept = side.refer();
    for (let id = 0; id < 1_000; id++) if (id !== kept.object) side.deliver(release(u32(id)));
    side.deliver(release(u32(0xffffffff)));
    expect(side.connection.closeReason).toBeUndefined();
    expect(side.peer.referenceCounts.made).toBe(1);
    side.deliver(release(u32(kept.object)), release(u32(kept.object)));
    expect(side.peer.referenceCounts.made).toBe(0);
    kept[Symbol.dispose]();
    // Ids are not given to other objects, so a late release hits nothing.
    expect(side.refer().object).not.toBe(kept.object);
    expect(side.connection.closeReason).toBeUndefined();
  });

  test.each([
    [[], "release frame has 0 bytes instead of 4"],
    [[1, 2, 3], "release frame has 3 bytes instead of 4"],
    [[1, 0, 0, 0, 0], "release frame has 5 bytes instead of 4"],
  ])("that sends the release %j ends the connection", (payload, why) => {
    const side = oneSide();
    side.refer();
    side.deliver(release(Uint8Array.from(payload)));
    expect(side.connection.closeReason?.code).toBe("protocol_error");
    expect(side.connection.closeReason?.message).toContain(why);
    expect(side.peer.referenceCounts.made).toBe(0);
  });

  test.each([
    ["a length beyond its end", [0x0a, 9, 0x61]],
    ["a tag that is cut off", [0x80]],
    ["field 0", [0x00, 0x00]],
    ["a group that does not end", [0x0b]],
    ["a number that does not end", [0x10, ...new Array<number>(11).fill(0xff)]],
  ])("that describes a service by %s ends the connection", (_what, payload) => {
    const side = oneSide();
    side.deliver(serviceFrame(payload));
    expect(side.connection.closeReason?.code).toBe("protocol_error");
    expect(side.connection.closeReason?.message).toContain("service frame cannot be read");
  });

  test("may describe 256 services, each as often as it likes, and no more", () => {
    const side = oneSide();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 256; i++) side.deliver(described(`peer.Service${i}`));
    }
    expect(side.connection.closeReason).toBeUndefined();
    side.deliver(described("peer.Service256"));
    expect(side.connection.closeReason?.code).toBe("protocol_error");
    expect(side.connection.closeReason?.message).toContain("more than 256 services");
  });

  test("whose description says nothing describes nothing", () => {
    const side = oneSide();
    side.deliver(serviceFrame([]));
    expect(side.connection.closeReason).toBeUndefined();
    expect(thrown(() => side.resolve(theirRef(1))).code).toBe("unimplemented");
  });

  test.each([
    ["without an object id", new Uint8Array(0), "request 1 lacks its object id"],
    ["with half an object id", Uint8Array.of(1, 0), "request 1 lacks its object id"],
    ["to object 0", u32(0), "request 1 has object id 0"],
  ])("that sends a request %s ends the connection", (_what, payload, why) => {
    const side = oneSide();
    side.refer();
    side.deliver(toObject(1, 0, payload));
    expect(side.connection.closeReason?.code).toBe("protocol_error");
    expect(side.connection.closeReason?.message).toContain(why);
  });

  test("that calls an object that is not there is told not_found", async () => {
    const side = oneSide();
    const ref = side.refer();
    ref[Symbol.dispose]();
    side.deliver(toObject(1, 0, joined(u32(ref.object), log)));
    side.deliver(toObject(2, 0, joined(u32(0xffffffff), log)));
    const sent = (await side.sent()).filter(({ kind }) => kind === FrameKind.Error);
    expect(sent.map(({ requestId }) => requestId)).toEqual([1, 2]);
    for (const one of sent) expect(errorText([one])).toContain("not_found");
    expect(side.connection.closeReason).toBeUndefined();
  });

  test("that calls a method which an object does not have is told unimplemented", async () => {
    const side = oneSide();
    const { object } = side.refer();
    for (const [i, methodId] of [4, 100, 0x7fff].entries()) {
      side.deliver(toObject(i + 1, methodId, joined(u32(object), log)));
    }
    const sent = (await side.sent()).filter(({ kind }) => kind === FrameKind.Error);
    expect(sent.length).toBe(3);
    for (const one of sent) expect(errorText([one])).toContain("unimplemented");
    side.deliver(toObject(9, 0, joined(u32(object), log)));
    expect((await side.sent()).map(({ kind }) => kind)).toEqual([FrameKind.Response]);
  });

  test("that takes a method of an object for another kind is told unimplemented", async () => {
    const side = oneSide();
    const { object } = side.refer();
    side.deliver(toObject(1, 1, joined(u32(object), log)));
    const sent = (await side.sent()).filter(({ kind }) => kind === FrameKind.Error);
    expect(errorText(sent)).toContain("unimplemented");
    expect(side.connection.incomingCount).toBe(0);
  });
});

test("calls that a handler makes end at its deadline, also if its caller says nothing", async () => {
  const other = oneSide();
  other.deliver(described());
  const elsewhere = other.resolve(theirRef(7));
  const outcome = Promise.withResolvers<string>();
  const held = new LineLog();
  held.log = (text, context) => {
    elsewhere.log(text, context).then(outcome.resolve, (error) => outcome.resolve(codeOf(error)));
    return new Promise<string>(() => {});
  };
  const side = oneSide();
  const ref = side.refer(held);
  side.deliver(
    frame({
      kind: FrameKind.Request,
      flags: FrameFlag.Deadline,
      requestId: 1,
      methodId: firstObjectMethodId,
      payload: joined(u32(20), u32(ref.object), log),
    }),
  );
  expect(await outcome.promise).toBe("deadline_exceeded");
  expect(other.connection.deadlineCount).toBe(0);
  const [request] = await other.sent();
  // Nested are calls that go back to where the call came from, and no others.
  expect((request?.flags ?? 0) & FrameFlag.Nested).toBe(0);
});

test("a context without a peer says that the host knows neither offers nor references", () => {
  const call = new IncomingCall({} as never, 1, 0, 0);
  for (const ask of [
    () => call.host(service),
    () => call.refer(service, {}),
    () => call.resolve(service, {}),
  ]) {
    expect(thrown(ask).code).toBe("unimplemented");
  }
});
