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
  /** From the callee: metadata that comes before its first message or response. */
  Headers: 9,
  /** Is answered with a pong of the same id. */
  Ping: 10,
  Pong: 11,
  /** The sender takes no new calls; the payload is an error that says why. */
  GoAway: 12,
  /** The methods of a service that references may be of. */
  Service: 13,
  /** The object of this id, a u32, is not referred to any more. */
  Release: 14,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

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
  /** Metadata, led by its length, a u32, comes before the message. */
  Metadata: 0x20,
  /** On a request: it is made for a call of the receiver's, and has an allowance of its own. */
  Nested: 0x40,
  /** A receiver that does not know the kind skips the frame. */
  Ignorable: 0x80,
} as const;

interface KindRule {
  readonly name: string;
  /** Flags that may be set, beside `Ignorable`. */
  readonly may: number;
  /** Flags that must be. */
  readonly must: number;
  /** It never has a payload. */
  readonly isEmpty?: true;
  /** It is about the connection itself: its request id is 0. */
  readonly hasNoId?: true;
}

const { More, FromCallee, Deadline, ClientStreams, ServerStreams, Nested } = FrameFlag;
const anyRequest = More | Deadline | ClientStreams | ServerStreams | FrameFlag.Metadata | Nested;

// By kind.
const rules: readonly (KindRule | undefined)[] = [
  undefined,
  { name: "request", may: anyRequest, must: 0 },
  { name: "response", may: More | FromCallee | FrameFlag.Metadata, must: FromCallee },
  { name: "error", may: FromCallee | FrameFlag.Metadata, must: FromCallee },
  { name: "continue", may: More | FromCallee, must: 0 },
  { name: "cancel", may: 0, must: 0, isEmpty: true },
  { name: "message", may: More | FromCallee, must: 0 },
  { name: "end", may: 0, must: 0, isEmpty: true },
  { name: "credit", may: FromCallee, must: 0 },
  { name: "headers", may: FromCallee, must: FromCallee },
  { name: "ping", may: 0, must: 0, isEmpty: true },
  { name: "pong", may: 0, must: 0, isEmpty: true },
  { name: "go-away", may: 0, must: 0, hasNoId: true },
  { name: "service", may: 0, must: 0, hasNoId: true },
  { name: "release", may: 0, must: 0, hasNoId: true },
];

/** For error texts and traces; a number for a kind that is not known. */
export function kindName(kind: number): string {
  return rules[kind]?.name ?? `kind ${kind}`;
}

export function isKnownKind(kind: number): boolean {
  return rules[kind] !== undefined;
}

/** What is wrong with the header of a frame of a known kind, or undefined. */
export function headerFault(
  kind: number,
  flags: number,
  methodId: number,
  requestId: number,
  payloadBytes: number,
): string | undefined {
  const { may, must, isEmpty, hasNoId } = rules[kind] as KindRule;
  const extra = flags & ~(may | FrameFlag.Ignorable);
  if (extra !== 0) return `has flags 0x${extra.toString(16)}, which it may not have`;
  const missing = must & ~flags;
  if (missing !== 0) return `lacks flags 0x${missing.toString(16)}`;
  if (methodId !== 0 && kind !== FrameKind.Request) return `has method id ${methodId}`;
  if (isEmpty === true && payloadBytes !== 0) return `has a payload of ${payloadBytes} bytes`;
  return hasNoId === true && requestId !== 0 ? `has request id ${requestId}` : undefined;
}

/** Method ids from here on are of objects: the rest of the id is the method's place among those of
 * the object's service, and the object's id, a u32, comes before the message. */
export const firstObjectMethodId = 0x8000;

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
