// The body of a handshake: the Go original's message, with our own in a field that it skips.
//
//   message Handshake {
//     uint32 version = 1;   // the Go original's
//     string magic = 2;     // the Go original's
//     Hello hello = 10;     // ours; ./../frame/PROTOCOL.md says what each side puts into it
//   }

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

import { checkedLimits, type Limits } from "../call/limits.ts";
import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import { decodeError, encodeError } from "../frame/error-payload.ts";

/** The version of wire 2 that this code speaks. */
export const wire2 = 2;

export type Role = "host" | "plugin";

export interface HelloService {
  /** The full name. */
  readonly name: string;
  /** From the host: the versions that it can work with. From the plugin: the one that it chose. */
  readonly versions: readonly number[];
  /** From the plugin: the names of its methods. Their ids count up from `firstMethodId`. */
  readonly methods: readonly string[];
  readonly firstMethodId: number;
}

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
];

const roles: readonly (Role | undefined)[] = [undefined, "host", "plugin"];

export function encodeHandshake(handshake: Handshake): Uint8Array {
  const writer = new BinaryWriter();
  // As the original's encoder does: what is zero or empty is left out.
  if (handshake.version !== 0) writer.tag(1, WireType.Varint).uint32(handshake.version);
  if (handshake.magic !== "") writer.tag(2, WireType.LengthDelimited).string(handshake.magic);
  if (handshake.hello !== undefined) {
    writer.tag(10, WireType.LengthDelimited).fork();
    writeHello(writer, handshake.hello);
    writer.join();
  }
  return writer.finish();
}

function writeHello(writer: BinaryWriter, hello: Hello): void {
  writer.tag(1, WireType.Varint).uint32(roles.indexOf(hello.role));
  for (const protocol of hello.protocols) writer.tag(2, WireType.Varint).uint32(protocol);
  for (const service of hello.services) {
    writer.tag(3, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(service.name);
    for (const version of service.versions) writer.tag(2, WireType.Varint).uint32(version);
    for (const method of service.methods) writer.tag(3, WireType.LengthDelimited).string(method);
    if (service.firstMethodId > 0) writer.tag(4, WireType.Varint).uint32(service.firstMethodId);
    writer.join();
  }
  writer.tag(4, WireType.LengthDelimited).fork();
  for (const [i, name] of limitNames.entries()) {
    const value = hello.limits[name];
    if (value !== undefined) writer.tag(i + 1, WireType.Varint).uint32(value);
  }
  writer.join();
  for (const transport of hello.transports) {
    writer.tag(5, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(transport.kind);
    for (const fd of transport.fds) writer.tag(2, WireType.Varint).uint32(fd);
    writer.join();
  }
  writer.tag(6, WireType.LengthDelimited).string(hello.runtime);
  if (hello.error !== undefined) {
    writer.tag(7, WireType.LengthDelimited).bytes(encodeError(hello.error, "runtime"));
  }
}

/** Fields that are not known are skipped. @throws {Error} The bytes are not protobuf. */
export function decodeHandshake(bytes: Uint8Array): Handshake {
  let version = 0;
  let magic = "";
  let hello: Hello | undefined;
  eachField(bytes, (field, reader) => {
    if (field === 1) version = reader.uint32();
    else if (field === 2) magic = reader.string();
    else if (field === 10) hello = readHello(reader.bytes());
    else return false;
    return true;
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
  };
  eachField(bytes, (field, reader) => {
    if (field === 1) hello.role = roles[reader.uint32()];
    else if (field === 2) hello.protocols.push(reader.uint32());
    else if (field === 3) hello.services.push(readService(reader.bytes()));
    else if (field === 4) hello.limits = readLimits(reader.bytes());
    else if (field === 5) hello.transports.push(readTransport(reader.bytes()));
    else if (field === 6) hello.runtime = reader.string();
    else if (field === 7) hello.error = decodeError(reader.bytes(), "runtime");
    else return false;
    return true;
  });
  return hello;
}

function readService(bytes: Uint8Array): HelloService {
  const service = { name: "", versions: [] as number[], methods: [] as string[], firstMethodId: 0 };
  eachField(bytes, (field, reader) => {
    if (field === 1) service.name = reader.string();
    else if (field === 2) service.versions.push(reader.uint32());
    else if (field === 3) service.methods.push(reader.string());
    else if (field === 4) service.firstMethodId = reader.uint32();
    else return false;
    return true;
  });
  return service;
}

function readLimits(bytes: Uint8Array): Partial<Limits> {
  const limits: { -readonly [K in keyof Limits]?: number } = {};
  eachField(bytes, (field, reader) => {
    const name = limitNames[field - 1];
    if (name === undefined) return false;
    limits[name] = reader.uint32();
    return true;
  });
  return limits;
}

function readTransport(bytes: Uint8Array): HelloTransport {
  const transport = { kind: "", fds: [] as number[] };
  eachField(bytes, (field, reader) => {
    if (field === 1) transport.kind = reader.string();
    else if (field === 2) transport.fds.push(reader.uint32());
    else return false;
    return true;
  });
  return transport;
}

/**
 * The limits of the peer, with the defaults for what it does not say.
 *
 * @throws {PlugError} `handshake_mismatch`: a limit that cannot be worked with.
 */
export function peerLimits(limits: Partial<Limits>, runtime: string): Limits {
  try {
    return checkedLimits(limits);
  } catch (cause) {
    const why = isPlugError(cause) ? cause.rawMessage : textOf(cause);
    throw new PlugError("handshake_mismatch", `the limits of the peer (${runtime}): ${why}`, {
      cause,
    });
  }
}

// More than any peer has to say: method ids have 16 bits. A message of many empty fields would
// make objects of far more memory than it has bytes.
const maxFieldCount = 70_000;

function eachField(
  bytes: Uint8Array,
  read: (field: number, reader: BinaryReader) => boolean,
): void {
  const reader = new BinaryReader(bytes);
  for (let count = 1; reader.pos < reader.len; count++) {
    if (count > maxFieldCount) throw new Error(`more than ${maxFieldCount} fields`);
    const [field, wireType] = reader.tag();
    if (!read(field, reader)) reader.skip(wireType, field);
  }
}
