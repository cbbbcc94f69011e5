// Service and release frames: what a connection says of objects, and what it hands on.

import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import type { DescribedService } from "../../src/call/incoming-call.ts";
import { FrameKind } from "../../src/frame/frame-header.ts";
import { decodeService, encodeService } from "../../src/frame/service-payload.ts";
import { pair, scripted } from "../support/connections.ts";
import { frame, maxFramePayloadBytes, type TestFrame, u32 } from "../support/frames.ts";
import { echo } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";
import { thrown } from "../support/rejection.ts";

const bell = { name: "peer.Bell", version: 3, methods: ["Ring", "Hush"] };

function listening() {
  const services: DescribedService[] = [];
  const objects: number[] = [];
  const references = {
    described: (service: DescribedService) => void services.push(service),
    released: (objectId: number) => void objects.push(objectId),
  };
  return { services, objects, references };
}

describe("Connection.describe", () => {
  test("is a frame with the name, the one version, and the methods in their order", async () => {
    const peer = scripted();

    peer.connection.describe(bell);

    const [sent, ...rest] = (await peer.sent()) as [TestFrame];
    expect([sent.kind, sent.flags, sent.methodId, sent.requestId]).toEqual([
      FrameKind.Service,
      0,
      0,
      0,
    ]);
    expect(decodeService(sent.payload)).toEqual({
      name: "peer.Bell",
      versions: [3],
      methods: ["Ring", "Hush"],
      firstMethodId: 0,
    });
    expect(rest).toEqual([]);
  });

  test("takes methods that fill one frame, and refuses one byte more", async () => {
    const rest = encodeService({ ...service([]), name: "a" }).byteLength;
    // A name of 16,384 bytes or more has four bytes before it.
    const fitting = "m".repeat(maxFramePayloadBytes - rest - 4);
    const peer = scripted();

    peer.connection.describe({ name: "a", version: 1, methods: [fitting] });
    const error = thrown(() =>
      peer.connection.describe({ name: "a", version: 1, methods: [`${fitting}m`] }),
    );

    const sent = await peer.sent();
    expect(sent.map(({ payload }) => payload.byteLength)).toEqual([maxFramePayloadBytes]);
    expect(error.message).toBe(
      "[resource_exhausted] the methods of a take 65537 bytes, more than 65536",
    );
  });

  test("and Connection.release tell whom it concerns on the other side", async () => {
    const { services, objects, references } = listening();
    const { host, plugin } = pair({ handler: echo, references });

    host.describe(bell);
    host.describe({ ...bell, methods: [] });
    host.release(7);
    host.release(0xffff_ffff);
    await host.ping();

    expect(services).toEqual([bell, { ...bell, methods: [] }]);
    expect(objects).toEqual([7, 0xffff_ffff]);
    expect(plugin.closeReason).toBeUndefined();
  });

  test("and Connection.release say nothing once the connection is closed", async () => {
    const peer = scripted();
    peer.connection.close(new PlugError("unavailable", "over"));

    peer.connection.describe(bell);
    peer.connection.release(7);

    expect(await peer.sent()).toEqual([]);
  });
});

describe("Connection.release", () => {
  test("is a frame with the object's id", async () => {
    const peer = scripted();

    peer.connection.release(7);

    expect(await peer.sent()).toEqual([
      { kind: FrameKind.Release, flags: 0, methodId: 0, requestId: 0, payload: u32(7) },
    ]);
  });
});

describe("a frame about references", () => {
  const wrong: readonly [string, Uint8Array, string][] = [
    [
      "a release of no id",
      frame({ kind: FrameKind.Release, requestId: 0 }),
      "release frame has 0 bytes",
    ],
    [
      "a release of five bytes",
      frame({ kind: FrameKind.Release, requestId: 0, payload: [1, 2, 3, 4, 5] }),
      "release frame has 5 bytes instead of 4",
    ],
    [
      "a service that is none",
      frame({ kind: FrameKind.Service, requestId: 0, payload: [0x0a, 9] }),
      "service frame cannot be read",
    ],
  ];
  test.each(wrong)("that is %s ends the connection with protocol_error", (_, bytes, text) => {
    const { references } = listening();
    const peer = scripted({ references });

    peer.deliver(bytes);

    expect(peer.connection.closeReason?.code).toBe("protocol_error");
    expect(peer.connection.closeReason?.message).toContain(text);
  });

  test("keeps nothing of the chunk that it came in", () => {
    const { services, references } = listening();
    const peer = scripted({ references });

    const payload = encodeService(service(["Ring"]));
    peer.deliver(frame({ kind: FrameKind.Service, requestId: 0, payload }));
    peer.deliver(frame({ kind: 200, flags: 0x80, payload: patternBytes(500) }));

    expect(services).toEqual([{ name: "peer.Bell", version: 1, methods: ["Ring"] }]);
  });
});

function service(methods: readonly string[]) {
  return { name: "peer.Bell", versions: [1], methods, firstMethodId: 0 };
}
