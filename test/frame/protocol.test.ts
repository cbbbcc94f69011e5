import { describe, expect, test } from "bun:test";

import { decodeHandshake, encodeHandshake, type Hello } from "../../src/handshake/hello.ts";
import { encodeError } from "../../src/frame/error-payload.ts";
import {
  firstObjectMethodId,
  FrameFlag,
  FrameKind,
  headerBytes,
  writeHeader,
} from "../../src/frame/frame-header.ts";
import { encodePreface } from "../../src/frame/preface.ts";
import { encodeService } from "../../src/frame/service-payload.ts";
import { encodeMetadata } from "../../src/metadata/metadata-block.ts";
import { Metadata } from "../../src/metadata/metadata.ts";
import { wire1ErrorId, wire1Frame } from "../../src/frame/wire1-frame.ts";
import { u32Payload } from "../../src/connection/frame-input.ts";
import { PlugError } from "bun-plug";

// The examples of PROTOCOL.md, by name.
const text = await Bun.file(`${import.meta.dir}/../../src/frame/PROTOCOL.md`).text();
const examples = new Map(
  [...text.matchAll(/```hex ([\w-]+)\n([^`]*)```/g)].map(([, name = "", hex = ""]) => [
    name,
    Uint8Array.fromHex(hex.replaceAll(/\s/g, "")),
  ]),
);

const hello: Hello = {
  role: "host",
  protocols: [2],
  services: [{ name: "example.KV", versions: [1], methods: [], firstMethodId: 0 }],
  limits: { maxMessageBytes: 64 * 1024 * 1024, maxInFlightCalls: 16_384 },
  transports: [
    { kind: "socket", fds: [3] },
    { kind: "stdio", fds: [] },
  ],
  runtime: "peer/1",
  error: undefined,
  offers: [],
  origin: 0,
};
const answer: Hello = {
  ...hello,
  role: "plugin",
  services: [{ name: "example.KV", versions: [1], methods: ["Get", "Put"], firstMethodId: 0 }],
  transports: [{ kind: "socket", fds: [3] }],
};
const refusal: Hello = {
  ...answer,
  services: [],
  limits: {},
  transports: [],
  error: new PlugError("handshake_mismatch", "no"),
};

const get = Uint8Array.of(0x0a, 0x01, 0x6b);
const got = Uint8Array.of(0x0a, 0x04, 1, 2, 3, 4);
const ab = encodeMetadata(new Metadata({ a: "b" }), 100, "headers");
const noSuchKey = encodeError(new PlugError("not_found", "no such key"));

const written: Record<string, Uint8Array> = {
  "wire1-request": wire1Frame(0, get),
  "wire1-response": wire1Frame(0, got),
  "wire1-error": wire1Frame(wire1ErrorId, new TextEncoder().encode("no such key")),
  "handshake-offer": handshake(hello),
  "handshake-answer": handshake(answer),
  "handshake-refusal": handshake(refusal),
  request: frame(FrameKind.Request, 0, get),
  "request-with-deadline": frame(
    FrameKind.Request,
    FrameFlag.Deadline,
    Uint8Array.of(0xf4, 0x01, 0, 0, ...get),
  ),
  response: frame(FrameKind.Response, FrameFlag.FromCallee, got),
  error: frame(FrameKind.Error, FrameFlag.FromCallee, noSuchKey),
  cancel: frame(FrameKind.Cancel, 0, new Uint8Array(0)),
  message: frame(FrameKind.Message, 0, get),
  end: frame(FrameKind.End, 0, new Uint8Array(0)),
  credit: frame(FrameKind.Credit, FrameFlag.FromCallee, u32Payload(27)),
  "request-to-object": frame(
    FrameKind.Request,
    0,
    Buffer.concat([encodePreface(7, undefined) as Uint8Array, get]),
    { methodId: firstObjectMethodId },
  ),
  "request-with-metadata": frame(
    FrameKind.Request,
    FrameFlag.Metadata,
    Buffer.concat([encodePreface(0, ab) as Uint8Array, get]),
  ),
  headers: frame(FrameKind.Headers, FrameFlag.FromCallee, ab),
  "response-with-trailers": frame(
    FrameKind.Response,
    FrameFlag.FromCallee | FrameFlag.Metadata,
    encodePreface(0, ab) as Uint8Array,
  ),
  service: frame(
    FrameKind.Service,
    0,
    encodeService({ name: "peer.Bell", versions: [1], methods: ["Ring"], firstMethodId: 0 }),
    { requestId: 0 },
  ),
  release: frame(FrameKind.Release, 0, u32Payload(7), { requestId: 0 }),
  ping: frame(FrameKind.Ping, 0, new Uint8Array(0), { requestId: 5 }),
  pong: frame(FrameKind.Pong, 0, new Uint8Array(0), { requestId: 5 }),
  "go-away": frame(FrameKind.GoAway, 0, encodeError(new PlugError("draining", "done"), "runtime"), {
    requestId: 0,
  }),
};

describe("PROTOCOL.md", () => {
  test("has an example for each of these, and no other", () => {
    expect([...examples.keys()].sort()).toEqual(Object.keys(written).sort());
  });

  test.each(Object.keys(written))("shows the bytes that this code writes: %s", (name) => {
    expect(written[name]?.toHex()).toBe(examples.get(name)?.toHex() as string);
  });

  test("shows handshakes that this code reads back", () => {
    for (const [name, expected] of [
      ["handshake-offer", hello],
      ["handshake-answer", answer],
    ] as const) {
      const payload = (examples.get(name) as Uint8Array).subarray(3);
      expect(decodeHandshake(payload)).toEqual({ version: 1, magic: "magic", hello: expected });
    }
  });
});

function handshake(value: Hello): Uint8Array {
  return wire1Frame(0xff, encodeHandshake({ version: 1, magic: "magic", hello: value }));
}

function frame(
  kind: FrameKind,
  flags: number,
  payload: Uint8Array,
  { methodId = 0, requestId = 1 } = {},
): Uint8Array {
  const bytes = new Uint8Array(headerBytes + payload.byteLength);
  const view = new DataView(bytes.buffer);
  writeHeader(view, 0, payload.byteLength, kind, flags, methodId, requestId);
  bytes.set(payload, headerBytes);
  return bytes;
}
