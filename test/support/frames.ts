// Frames of wire 2, made and taken apart by hand: nothing of the code under test but its numbers.

import { FrameFlag, FrameKind } from "../../src/frame/frame-header.ts";
import { encodeError } from "../../src/frame/error-payload.ts";
import { PlugError, type ErrorCode } from "bun-plug";
import { joined } from "./cuts.ts";

export const frameHeaderBytes = 12;
export const maxFramePayloadBytes = 64 * 1024;

export interface TestFrame {
  readonly kind: number;
  readonly flags: number;
  readonly methodId: number;
  readonly requestId: number;
  readonly payload: Uint8Array;
}

/** A whole frame. `payloadBytes` is what the header says, if it shall lie. */
export function frame(
  fields: Partial<Omit<TestFrame, "payload">> & {
    readonly payload?: Uint8Array | readonly number[];
    readonly payloadBytes?: number;
  },
): Uint8Array {
  const payload = Uint8Array.from(fields.payload ?? []);
  const bytes = new Uint8Array(frameHeaderBytes + payload.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fields.payloadBytes ?? payload.byteLength, true);
  view.setUint8(4, fields.kind ?? FrameKind.Request);
  view.setUint8(5, fields.flags ?? 0);
  view.setUint16(6, fields.methodId ?? 0, true);
  view.setUint32(8, fields.requestId ?? 1, true);
  bytes.set(payload, frameHeaderBytes);
  return bytes;
}

/** The frames of a stream that ends with a whole one. */
export function framesOf(stream: Uint8Array): TestFrame[] {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const frames: TestFrame[] = [];
  for (let at = 0; at < stream.byteLength;) {
    const end = at + frameHeaderBytes + view.getUint32(at, true);
    if (end > stream.byteLength) throw new Error(`the frame at ${at} ends behind the stream`);
    frames.push({
      kind: view.getUint8(at + 4),
      flags: view.getUint8(at + 5),
      methodId: view.getUint16(at + 6, true),
      requestId: view.getUint32(at + 8, true),
      payload: stream.slice(at + frameHeaderBytes, end),
    });
    at = end;
  }
  return frames;
}

export function request(
  requestId: number,
  payload: Uint8Array | readonly number[] = [],
  methodId = 0,
): Uint8Array {
  return frame({ kind: FrameKind.Request, requestId, methodId, payload });
}

export function response(requestId: number, payload: Uint8Array | readonly number[] = []) {
  return frame({ kind: FrameKind.Response, flags: FrameFlag.FromCallee, requestId, payload });
}

export function errorFrame(requestId: number, code: ErrorCode, message: string): Uint8Array {
  return frame({
    kind: FrameKind.Error,
    flags: FrameFlag.FromCallee,
    requestId,
    payload: encodeError(new PlugError(code, message), "runtime"),
  });
}

export function cancelFrame(requestId: number): Uint8Array {
  return frame({ kind: FrameKind.Cancel, requestId });
}

/** One message of a stream; `flags` says whose request id it is. */
export function messageFrame(
  flags: number,
  requestId: number,
  payload: Uint8Array | readonly number[] = [],
): Uint8Array {
  return frame({ kind: FrameKind.Message, flags, requestId, payload });
}

export function endFrame(requestId: number): Uint8Array {
  return frame({ kind: FrameKind.End, requestId });
}

export function creditFrame(flags: number, requestId: number, byteCount: number): Uint8Array {
  return frame({ kind: FrameKind.Credit, flags, requestId, payload: u32(byteCount) });
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** A message in as many frames as it needs, as a peer sends it that has no limits of its own. */
export function split(
  kind: typeof FrameKind.Request | typeof FrameKind.Response | typeof FrameKind.Message,
  requestId: number,
  message: Uint8Array,
  pieceBytes = maxFramePayloadBytes - 4,
  from: number = kind === FrameKind.Response ? FrameFlag.FromCallee : 0,
): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < message.byteLength; at += pieceBytes) {
    const piece = message.subarray(at, at + pieceBytes);
    const isLast = at + pieceBytes >= message.byteLength;
    frames.push(
      frame({
        kind: at === 0 ? kind : FrameKind.Continue,
        flags: from | (isLast && at > 0 ? 0 : FrameFlag.More),
        requestId,
        payload: at === 0 ? joined(u32(message.byteLength), piece) : piece,
      }),
    );
    if (at === 0 && isLast) {
      frames.push(frame({ kind: FrameKind.Continue, flags: from, requestId }));
    }
  }
  return frames;
}
