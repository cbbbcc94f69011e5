// Every kind with every flag: what may not be there ends the connection, and nothing else does.

import { describe, expect, test } from "bun:test";

import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { scripted } from "../support/connections.ts";
import { joined } from "../support/cuts.ts";
import { frame, request, response } from "../support/frames.ts";
import { bytes, echo, KeepingHandler } from "../support/payloads.ts";
import { patternBytes } from "../support/random.ts";

const { ClientStreams, Deadline, FromCallee, Ignorable, More, Nested, ServerStreams } = FrameFlag;
const WithMetadata = FrameFlag.Metadata;

// The two tables of PROTOCOL.md, section 4, by hand: kind, its name, flags that it may have beside
// `ignorable`, and those that it must.
const kinds: readonly (readonly [number, string, number, number])[] = [
  [1, "request", More | Deadline | ClientStreams | ServerStreams | WithMetadata | Nested, 0],
  [2, "response", More | FromCallee | WithMetadata, FromCallee],
  [3, "error", FromCallee | WithMetadata, FromCallee],
  [4, "continue", More | FromCallee, 0],
  [5, "cancel", 0, 0],
  [6, "message", More | FromCallee, 0],
  [7, "end", 0, 0],
  [8, "credit", FromCallee, 0],
  [9, "headers", FromCallee, FromCallee],
  [10, "ping", 0, 0],
  [11, "pong", 0, 0],
  [12, "go-away", 0, 0],
  [13, "service", 0, 0],
  [14, "release", 0, 0],
];

const bits = [1, 2, 4, 8, 16, 32, 64, 128];

function ended(bytesOfFrame: Uint8Array): string | undefined {
  const peer = scripted({ handler: new KeepingHandler() });
  void peer.call(bytes(1)).catch(() => {});
  peer.deliver(bytesOfFrame);
  return peer.connection.closeReason?.message;
}

test("PROTOCOL.md has these kinds, and no other", async () => {
  const text = await Bun.file(`${import.meta.dir}/../../src/frame/PROTOCOL.md`).text();
  const rows = [...text.matchAll(/^\| (\d+) +\| ([\w-]+) +\|/gm)].map(([, id, name]) => [
    Number(id),
    name,
  ]);

  expect(rows).toEqual(kinds.map(([kind, name]) => [kind, name]));
  expect(kinds.map(([kind]) => kind)).toEqual(Object.values(FrameKind));
});

describe.each(kinds)("kind %d, %s,", (kind, name, may, must) => {
  test("ends the connection with each flag that it may not have, named", () => {
    for (const bit of bits) {
      if ((bit & (may | Ignorable)) !== 0) continue;
      expect(ended(frame({ kind, flags: must | bit }))).toBe(
        `[protocol_error] ${name} frame has flags 0x${bit.toString(16)}, which it may not have`,
      );
    }
  });

  test("ends it with all of them at once, also where it is marked ignorable", () => {
    const wrong = ~(may | Ignorable) & 0xff;
    const text = `${name} frame has flags 0x${wrong.toString(16)}`;

    expect(ended(frame({ kind, flags: may | wrong }))).toContain(text);
    expect(ended(frame({ kind, flags: must | wrong | Ignorable }))).toContain(text);
  });

  test("does not end it for the flags that it may have", () => {
    for (let flags = 0; flags < 256; flags++) {
      const isAllowed = (flags & ~(may | Ignorable)) === 0 && (flags & must) === must;
      const reason = ended(frame({ kind, flags, requestId: 1 })) ?? "";

      expect([flags, /frame (has|lacks) flags/.test(reason)]).toEqual([flags, !isAllowed]);
    }
  });

  if (must !== 0) {
    test("ends it without a flag that it must have, named", () => {
      expect(ended(frame({ kind, flags: may & ~must }))).toBe(
        `[protocol_error] ${name} frame lacks flags 0x${must.toString(16)}`,
      );
    });
  }
});

describe("a header", () => {
  const empty = [5, 7, 10, 11];
  const ofConnection = [12, 13, 14];

  test.each(kinds.filter(([kind]) => kind !== FrameKind.Request))(
    "of kind %d, %s, ends the connection with a method id",
    (kind, name, _may, must) => {
      const requestId = ofConnection.includes(kind) ? 0 : 1;

      expect(ended(frame({ kind, flags: must, requestId, methodId: 7 }))).toBe(
        `[protocol_error] ${name} frame has method id 7`,
      );
    },
  );

  test.each(kinds.filter(([kind]) => empty.includes(kind)))(
    "of kind %d, %s, ends the connection with a payload, before that has come",
    (kind, name) => {
      const header = frame({ kind, payload: [1] }).subarray(0, 12);

      expect(ended(header)).toBe(`[protocol_error] ${name} frame has a payload of 1 bytes`);
    },
  );

  test.each(kinds.filter(([kind]) => ofConnection.includes(kind)))(
    "of kind %d, %s, ends the connection with a request id",
    (kind, name) => {
      expect(ended(frame({ kind, requestId: 9 }))).toBe(
        `[protocol_error] ${name} frame has request id 9`,
      );
    },
  );
});

describe("a kind that is not known", () => {
  const unknown = Array.from({ length: 256 }, (_, kind) => kind).filter(
    (kind) => !kinds.some(([known]) => known === kind),
  );

  test("is skipped with any flags if it is marked ignorable, and calls go on around it", async () => {
    const peer = scripted({ handler: echo });
    const result = peer.call(bytes(1));
    await peer.sent();

    for (const kind of unknown) {
      const flags = Ignorable | (kind & 0x7f);
      peer.deliver(
        joined(
          frame({
            kind,
            flags,
            requestId: kind * 7,
            methodId: 0xffff,
            payload: patternBytes(kind),
          }),
          request(1000 + kind, [kind]),
        ),
      );
    }
    peer.deliver(
      frame({ kind: 255, flags: 0xff, payload: patternBytes(65_536) }),
      response(1, [9]),
    );

    expect(await result).toEqual(bytes(9));
    expect(await peer.sent()).toHaveLength(unknown.length);
    expect(peer.connection.closeReason).toBeUndefined();
  });

  test("ends the connection without that mark, whatever its other flags are", () => {
    for (const kind of unknown) {
      expect(ended(frame({ kind, flags: kind & 0x7f }))).toBe(
        `[protocol_error] frame kind ${kind} is unknown`,
      );
    }
  });
});
