// The plugin's half of the first exchange: it is asked, decides, and answers with one frame.
//
// Pure: bytes in, a decision and bytes out. Who reads and writes them is plugin/'s affair.

import type { Limits } from "../call/limits.ts";
import { PlugError } from "../error/plug-error.ts";
import { handshakeMethod, wire1ErrorId, wire1Frame, Wire1Reader } from "../frame/wire1-frame.ts";
import {
  decodeHandshake,
  encodeHandshake,
  type Hello,
  type HelloService,
  type HelloTransport,
  peerLimits,
  wire2,
} from "./hello.ts";
import { checkMethodIds } from "./method-ids.ts";
import { runtimeName } from "./runtime-name.ts";

/** What the plugin serves. */
export interface ServedService {
  readonly name: string;
  readonly index: number;
  readonly magic: string;
  readonly version: number;
  /** The versions that it can work with. */
  readonly versions: readonly number[];
  readonly methods: readonly string[];
}

/** What the host wants. */
export type Decision =
  /** A Go host, for one service. Answer with `answer`, then speak wire 1 on the same streams. */
  | {
      readonly wire: 1;
      readonly service: ServedService;
      readonly version: number;
      readonly answer: Uint8Array;
    }
  /** Attach to one of `transports`, then answer with `answer(kind)`. */
  | {
      readonly wire: 2;
      readonly hostLimits: Limits;
      readonly transports: readonly HelloTransport[];
      /** The versions that were agreed on, by full name, of the services that the host wants. */
      readonly versions: ReadonlyMap<string, number>;
      /** What the host offers in turn. */
      readonly offers: readonly HelloService[];
      /** Marks the host's references. */
      readonly hostOrigin: number;
      readonly answer: (transport: HelloTransport) => Uint8Array;
    }
  /** Answer with `answer` and give up. */
  | { readonly wire: undefined; readonly answer: Uint8Array; readonly error: PlugError };

// A host's offer is at most a page. Whoever sends more is no host.
const maxOfferBytes = 64 * 1024;

/** Collects the host's first frame. */
export class OfferReader {
  #frame: { readonly id: number; readonly payload: Uint8Array } | undefined;
  readonly #reader = new Wire1Reader(maxOfferBytes, {
    frame: (id, buffer, from, to) => {
      this.#frame = { id, payload: buffer.slice(from, to) };
      return true;
    },
  });
  #first: number[] = [];

  /**
   * Takes the next bytes. Returns how many of them belong to the offer once it is complete, and
   * undefined while more is needed.
   *
   * @throws {PlugError} `handshake_mismatch`: these are not the words of a host.
   */
  push(chunk: Uint8Array): number | undefined {
    if (this.#first.length < 2) {
      this.#first.push(...chunk.subarray(0, 2 - this.#first.length));
      if (this.#first.length === 2 && this.#first[1] !== handshakeMethod) throw notAHost();
    }
    try {
      const end = this.#reader.push(chunk, 0, chunk.byteLength);
      return this.#frame === undefined ? undefined : end;
    } catch (error) {
      throw notAHost(error);
    }
  }

  /** The answer of a plugin that cannot serve at all, and why. Call it like {@link decide}. */
  refuse(error: PlugError): Uint8Array {
    const { id, payload } = this.#frame as { readonly id: number; readonly payload: Uint8Array };
    return refusal(id, decodeHandshake(payload).hello !== undefined, error);
  }

  /** What to do about the offer. Call it when `push` has said that it is complete. */
  decide(served: readonly ServedService[], limits: Limits, origin = 0): Decision {
    const { id, payload } = this.#frame as { readonly id: number; readonly payload: Uint8Array };
    return decide(id, payload, served, limits, origin);
  }
}

function notAHost(cause?: unknown): PlugError {
  return new PlugError(
    "handshake_mismatch",
    "what came on stdin is not the handshake of a host; a plugin is started by load…, not by hand",
    { cause },
  );
}

function decide(
  id: number,
  payload: Uint8Array,
  served: readonly ServedService[],
  limits: Limits,
  origin: number,
): Decision {
  let version: number;
  let magic: string;
  let hello: Hello | undefined;
  try {
    ({ version, magic, hello } = decodeHandshake(payload));
  } catch (error) {
    throw notAHost(error);
  }
  if (hello === undefined) return decideWire1(id, version, magic, served);
  return decideWire2(id, hello, served, limits, origin);
}

function decideWire1(
  id: number,
  version: number,
  magic: string,
  served: readonly ServedService[],
): Decision {
  const serviceIndex = id >> 8;
  const atIndex = served.filter(({ index }) => index === serviceIndex);
  const service = atIndex.find(
    (other) => other.magic === magic && other.versions.includes(version),
  );
  if (service !== undefined) {
    const answer = wire1Frame(id, encodeHandshake({ version, magic, hello: undefined }));
    return { wire: 1, service, version, answer };
  }
  // The original says which of the two differs; so do we, with the values of both sides.
  const ours = served.map(
    ({ name, index, magic, versions }) =>
      `${name} (service index ${index}, magic "${magic}", version ${versions.join(" or ")})`,
  );
  const what =
    atIndex.length === 0
      ? "service"
      : atIndex.some((other) => other.magic === magic)
        ? "version"
        : "magic";
  const text = `${what} mismatch in handshake: the host asked for service index ${serviceIndex}, magic "${magic}", version ${version}; the plugin serves ${ours.join(", ")}`;
  const error = new PlugError("handshake_mismatch", text);
  return {
    wire: undefined,
    answer: refusal(id, false, error),
    error,
  };
}

function refusal(id: number, isOurs: boolean, error: PlugError): Uint8Array {
  if (!isOurs) return wire1Frame(wire1ErrorId, new TextEncoder().encode(error.rawMessage));
  const hello: Hello = {
    role: "plugin",
    protocols: [wire2],
    services: [],
    limits: {},
    transports: [],
    runtime: runtimeName,
    error,
    offers: [],
    origin: 0,
  };
  return wire1Frame(id, encodeHandshake({ version: 0, magic: "", hello }));
}

function decideWire2(
  id: number,
  hello: Hello,
  served: readonly ServedService[],
  limits: Limits,
  origin: number,
): Decision {
  try {
    if (!hello.protocols.includes(wire2)) {
      throw new PlugError(
        "handshake_mismatch",
        `the host (${hello.runtime}) speaks wire ${hello.protocols.join(", ")}; this plugin (${runtimeName}) speaks wire ${wire2}`,
      );
    }
    checkMethodIds(hello.offers, hello.runtime);
    // Method ids are positions in all that is served, so that they do not depend on what is asked.
    const services = hello.services.map(({ name, versions }) => {
      const service = findService(name, served);
      return {
        name,
        versions: [commonVersion(service, versions)],
        methods: service.methods,
        firstMethodId: firstMethodId(service, served),
      };
    });
    return {
      wire: 2,
      hostLimits: peerLimits(hello.limits, hello.runtime),
      transports: hello.transports,
      versions: new Map(services.map(({ name, versions }) => [name, versions[0] as number])),
      offers: hello.offers,
      hostOrigin: hello.origin,
      answer: (transport) =>
        wire1Frame(
          id,
          encodeHandshake({
            ...(served[0] as ServedService),
            hello: {
              role: "plugin",
              protocols: [wire2],
              services,
              limits,
              transports: [transport],
              runtime: runtimeName,
              error: undefined,
              offers: [],
              origin,
            },
          }),
        ),
    };
  } catch (error) {
    const reason = error as PlugError;
    return { wire: undefined, answer: refusal(id, true, reason), error: reason };
  }
}

function findService(name: string, served: readonly ServedService[]): ServedService {
  const service = served.find((candidate) => candidate.name === name);
  if (service !== undefined) return service;
  throw new PlugError(
    "handshake_mismatch",
    `the host asked for ${name}; the plugin serves ${served.map((other) => other.name).join(", ")}`,
  );
}

function commonVersion(service: ServedService, versions: readonly number[]): number {
  const common = service.versions.filter((version) => versions.includes(version));
  if (common.length > 0) return Math.max(...common);
  throw new PlugError(
    "handshake_mismatch",
    `the host asked for ${service.name} version ${versions.join(" or ")}; the plugin serves version ${service.versions.join(" or ")}`,
  );
}

function firstMethodId(service: ServedService, served: readonly ServedService[]): number {
  return served
    .slice(0, served.indexOf(service))
    .reduce((count, { methods }) => count + methods.length, 0);
}
