// The body of a handshake: the Go original's message, with our own in a field that it skips.
//
//   message Handshake {
//     uint32 version = 1;   // the Go original's
//     string magic = 2;     // the Go original's
//     Hello hello = 10;     // ours; ./../frame/PROTOCOL.md says what each side puts into it
//   }

import { checkedLimits, limitRanges, type Limits } from "../call/limits.ts";
import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import { decodeError, encodeError } from "../frame/error-payload.ts";
import { decodeService, encodeService, type ServicePayload } from "../frame/service-payload.ts";
import { eachField, FieldWriter, textOfField, WireType } from "../protobuf/fields.ts";

/** The version of wire 2 that this code speaks. */
export const wire2 = 2;

export type Role = "host" | "plugin";

/**
 * Wanted by the host: its versions are those that the host can work with. Served by the plugin: the
 * one that it chose, with its methods. Offered by the host: both.
 */
export type HelloService = ServicePayload;

export interface HelloTransport {
  readonly kind: string;
  /** What the plugin has been given for it. */
  readonly fds: readonly number[];
}

export interface Hello {
  /** So that a program that echoes its input does not pass for a plugin. */
  readonly role: Role | undefined;
  /** Versions of the wire: offered, or the one that was chosen. */
  readonly protocols: readonly number[];
  readonly services: readonly HelloService[];
  readonly limits: Partial<Limits>;
  /** Offered, or the one that was chosen. */
  readonly transports: readonly HelloTransport[];
  /** What the peer is made of, for error texts. */
  readonly runtime: string;
  /** From the plugin: why it will not serve. */
  readonly error: PlugError | undefined;
  /** From the host: what the plugin may call. */
  readonly offers: readonly HelloService[];
  /** Marks the references of the sender: not 0, and by chance not that of another. */
  readonly origin: number;
}

export interface Handshake {
  readonly version: number;
  readonly magic: string;
  /** Undefined if the peer is the Go original. */
  readonly hello: Hello | undefined;
}

// By field number, from 1.
const limitNames: readonly (keyof Limits)[] = [
  "maxMessageBytes",
  "maxInFlightCalls",
  "streamWindowBytes",
  "connectionWindowBytes",
  "maxInFlightStreams",
  "maxNestedCalls",
  "maxMetadataBytes",
];

const roles: readonly (Role | undefined)[] = [undefined, "host", "plugin"];

export function encodeHandshake(handshake: Handshake): Uint8Array {
  const writer = new FieldWriter();
  // As the original's encoder does: what is zero or empty is left out.
  if (handshake.version !== 0) writer.uint32(1, handshake.version);
  if (handshake.magic !== "") writer.string(2, handshake.magic);
  if (handshake.hello !== undefined) writer.bytes(10, encodeHello(handshake.hello));
  return writer.finish();
}

function encodeHello(hello: Hello): Uint8Array {
  const writer = new FieldWriter().uint32(1, roles.indexOf(hello.role));
  for (const protocol of hello.protocols) writer.uint32(2, protocol);
  for (const service of hello.services) writer.bytes(3, encodeService(service));
  writer.bytes(4, encodeLimits(hello.limits));
  for (const transport of hello.transports) writer.bytes(5, encodeTransport(transport));
  writer.string(6, hello.runtime);
  if (hello.error !== undefined) writer.bytes(7, encodeError(hello.error, "runtime"));
  for (const offer of hello.offers) writer.bytes(8, encodeService(offer));
  if (hello.origin !== 0) writer.fixed32(9, hello.origin);
  return writer.finish();
}

function encodeLimits(limits: Partial<Limits>): Uint8Array {
  const writer = new FieldWriter();
  for (const [i, name] of limitNames.entries()) {
    const value = limits[name];
    if (value !== undefined) writer.uint32(i + 1, value);
  }
  return writer.finish();
}

function encodeTransport({ kind, fds }: HelloTransport): Uint8Array {
  const writer = new FieldWriter().string(1, kind);
  for (const fd of fds) writer.uint32(2, fd);
  return writer.finish();
}

/** Fields that are not known are skipped. @throws {Error} The bytes are not protobuf. */
export function decodeHandshake(bytes: Uint8Array): Handshake {
  let version = 0;
  let magic = "";
  let hello: Hello | undefined;
  eachField(bytes, (field, wireType, value, bytes) => {
    if (field === 1 && wireType === WireType.Varint) version = value;
    else if (field === 2 && wireType === WireType.LengthDelimited) magic = textOfField(bytes);
    else if (field === 10 && wireType === WireType.LengthDelimited) hello = readHello(bytes);
  });
  return { version, magic, hello };
}

function readHello(bytes: Uint8Array): Hello {
  const hello = {
    role: undefined as Role | undefined,
    protocols: [] as number[],
    services: [] as HelloService[],
    limits: {} as Partial<Limits>,
    transports: [] as HelloTransport[],
    runtime: "",
    error: undefined as PlugError | undefined,
    offers: [] as HelloService[],
    origin: 0,
  };
  eachField(bytes, (field, wireType, value, bytes) => {
    if (wireType === WireType.LengthDelimited) {
      if (field === 3) hello.services.push(decodeService(bytes));
      else if (field === 4) hello.limits = readLimits(bytes);
      else if (field === 5) hello.transports.push(readTransport(bytes));
      else if (field === 6) hello.runtime = textOfField(bytes);
      else if (field === 7) hello.error = decodeError(bytes, "runtime");
      else if (field === 8) hello.offers.push(decodeService(bytes));
    } else if (wireType === WireType.Varint) {
      if (field === 1) hello.role = roles[value];
      else if (field === 2) hello.protocols.push(value);
    } else if (field === 9) hello.origin = value;
  });
  return hello;
}

function readLimits(bytes: Uint8Array): Partial<Limits> {
  const limits: { -readonly [K in keyof Limits]?: number } = {};
  eachField(bytes, (field, wireType, value) => {
    const name = limitNames[field - 1];
    if (name !== undefined && wireType === WireType.Varint) limits[name] = value;
  });
  return limits;
}

function readTransport(bytes: Uint8Array): HelloTransport {
  const transport = { kind: "", fds: [] as number[] };
  eachField(bytes, (field, wireType, value, bytes) => {
    if (field === 1 && wireType === WireType.LengthDelimited) transport.kind = textOfField(bytes);
    else if (field === 2 && wireType === WireType.Varint) transport.fds.push(value);
  });
  return transport;
}

/**
 * The limits of the peer, with the defaults for what it does not say, and our most for what is more
 * than that. 0 says nothing, but for `maxMetadataBytes`.
 *
 * @throws {PlugError} `handshake_mismatch`: a limit that is too low to be worked with.
 */
export function peerLimits(said: Partial<Limits>, runtime: string): Limits {
  const limits: { -readonly [K in keyof Limits]?: number } = {};
  for (const name of limitNames) {
    const value = said[name];
    if (value === undefined || (value === 0 && name !== "maxMetadataBytes")) continue;
    const [, most] = limitRanges[name];
    limits[name] = Math.min(value, most); // a peer of other bounds may accept more
  }
  try {
    return checkedLimits(limits);
  } catch (cause) {
    const why = isPlugError(cause) ? cause.rawMessage : textOf(cause);
    throw new PlugError("handshake_mismatch", `the limits of the peer (${runtime}): ${why}`, {
      cause,
    });
  }
}
