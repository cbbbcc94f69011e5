// The header of a wire 2 frame, 12 bytes, little-endian. ./PROTOCOL.md is the specification.
//
//   offset  size  field
//        0     4  payload length in bytes, header not counted
//        4     1  kind
//        5     1  flags
//        6     2  method id, of a request; 0 elsewhere
//        8     4  request id; 0 is the connection itself
export const lengthAt = 0;
export const kindAt = lengthAt + 4;
export const flagsAt = kindAt + 1;
export const methodAt = flagsAt + 1;
export const requestIdAt = methodAt + 2;
export const headerBytes = requestIdAt + 4;

/** What a frame is. Values are on the wire: append, never renumber. */
export const FrameKind = {
  /** Opens a call: the request message. */
  Request: 1,
  /** Ends a call: the response message. */
  Response: 2,
  /** Ends a call: why there is no response. */
  Error: 3,
  /** The next piece of a message whose last frame said {@link FrameFlag.More}. */
  Continue: 4,
  /** From the caller: the answer is not wanted any more. It is answered by the call's end. */
  Cancel: 5,
  /** One message of a stream. */
  Message: 6,
  /** From the caller: it sends no more messages. */
  End: 7,
  /** So many bytes of a stream's messages, a u32, have been read. */
  Credit: 8,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

const lastKind = FrameKind.Credit;
const kindNames = [
  "",
  "request",
  "response",
  "error",
  "continue",
  "cancel",
  "message",
  "end",
  "credit",
];

/** Bits of the flags byte. Values are on the wire. */
export const FrameFlag = {
  /** The message is longer than this frame: its whole length leads the payload, and
   * {@link FrameKind.Continue} frames follow. On a `Continue` frame: not the last one. */
  More: 0x01,
  /** Sent by the side that did not open the call, so the request id is the receiver's. */
  FromCallee: 0x02,
  /** Milliseconds that are left until the deadline, a u32, come before the message. */
  Deadline: 0x04,
  /** On a request: the caller sends messages, and there is none in the request itself. */
  ClientStreams: 0x08,
  /** On a request: the caller takes messages, and there is none in the response. */
  ServerStreams: 0x10,
  /** A receiver that does not know the kind skips the frame. */
  Ignorable: 0x80,
} as const;

const knownFlags = Object.values(FrameFlag).reduce((all: number, flag) => all | flag, 0);

/** For error texts and traces; a number for a kind that is not known. */
export function kindName(kind: number): string {
  return kindNames[kind] ?? `kind ${kind}`;
}

export function isKnownKind(kind: number): boolean {
  return kind >= FrameKind.Request && kind <= lastKind;
}

export function unknownFlags(flags: number): number {
  return flags & ~knownFlags;
}

export function writeHeader(
  view: DataView,
  at: number,
  payloadBytes: number,
  kind: FrameKind,
  flags: number,
  methodId: number,
  requestId: number,
): void {
  view.setUint32(at + lengthAt, payloadBytes, true);
  view.setUint8(at + kindAt, kind);
  view.setUint8(at + flagsAt, flags);
  view.setUint16(at + methodAt, methodId, true);
  view.setUint32(at + requestIdAt, requestId, true);
}
