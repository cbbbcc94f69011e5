// The host's half of the first exchange: it speaks first, and finds out what the program is.

import type { Limits } from "../call/limits.ts";
import { PlugError } from "../error/plug-error.ts";
import { cutText } from "../frame/error-payload.ts";
import { handshakeMethod, wire1ErrorId, wire1Frame, Wire1Reader } from "../frame/wire1-frame.ts";
import type { Receiver, Transport } from "../transport/transport.ts";
import {
  decodeHandshake,
  encodeHandshake,
  type Handshake,
  type HelloService,
  type HelloTransport,
  peerLimits,
  wire2,
} from "./hello.ts";
import { checkMethodIds } from "./method-ids.ts";
import { runtimeName } from "./runtime-name.ts";

/** What the host asks of a service. */
export interface WantedService {
  readonly name: string;
  /** Position in its `.proto` file. */
  readonly index: number;
  readonly magic: string;
  readonly version: number;
  /** The versions that the host can work with. */
  readonly versions: readonly number[];
}

/** What the plugin turned out to be. */
export type HostOutcome =
  | { readonly wire: 1 }
  | {
      readonly wire: 2;
      readonly services: readonly HelloService[];
      readonly limits: Limits;
      readonly transport: HelloTransport;
      readonly runtime: string;
      /** Marks the plugin's references. */
      readonly origin: number;
    };

// The Go original reads its first frame into a buffer of one page.
const maxOfferBytes = 4096;
// Method tables of many services; a plugin with more is not believed.
const maxAnswerBytes = 1024 * 1024;
// What is quoted of a program that is no plugin.
const maxQuotedBytes = 200;

/**
 * The frame that opens the exchange.
 *
 * @throws {PlugError} `resource_exhausted`: the services do not fit into it.
 */
export function offerFrame(
  wanted: readonly WantedService[],
  limits: Limits,
  transports: readonly HelloTransport[],
  offers: readonly HelloService[] = [],
  origin = 0,
): Uint8Array {
  const first = wanted[0] as WantedService;
  const frame = wire1Frame(
    (first.index << 8) | handshakeMethod,
    encodeHandshake({
      version: first.version,
      magic: first.magic,
      hello: {
        role: "host",
        protocols: [wire2],
        services: wanted.map(({ name, versions }) => ({
          name,
          versions,
          methods: [],
          firstMethodId: 0,
        })),
        limits,
        transports,
        runtime: runtimeName,
        error: undefined,
        offers,
        origin,
      },
    }),
  );
  if (frame.byteLength > maxOfferBytes) {
    throw new PlugError(
      "resource_exhausted",
      `the handshake for ${wanted.length} services and ${offers.length} offered ones has ${frame.byteLength} bytes, more than ${maxOfferBytes}; load or offer fewer at once`,
    );
  }
  return frame;
}

/**
 * Reads the program's answer from a transport that the offer was sent on. What follows the answer
 * is left for the receiver that is started next: it must be started before the promise's reaction
 * has run, by `handOver`.
 */
export class AnswerReader implements Receiver {
  readonly #wanted: readonly WantedService[];
  readonly #reader: Wire1Reader;
  readonly #settle: PromiseWithResolvers<HostOutcome> = Promise.withResolvers();
  /** The program has printed what is no handshake. */
  isProse = false;
  /** Returns or throws what {@link outcome} settles with, as soon as that is known. */
  settled: (() => HostOutcome) | undefined;
  #isSettled = false;
  // The first bytes, to quote from if they turn out to be prose.
  #quoted = new Uint8Array(0);
  // What came behind the answer.
  #rest: Uint8Array[] = [];

  constructor(wanted: readonly WantedService[]) {
    this.#wanted = wanted;
    this.#reader = new Wire1Reader(maxAnswerBytes, {
      frame: (id, buffer, from, to) => {
        this.#onFrame(id, buffer.subarray(from, to));
        return true;
      },
    });
  }

  /** What the program is, or why it is not a plugin for this host. */
  get outcome(): Promise<HostOutcome> {
    return this.#settle.promise;
  }

  /** What the program has said so far, if it is readable, for error texts. */
  get quote(): string {
    return quote(this.#quoted);
  }

  /**
   * Starts the next receiver, with what came behind the answer first: a transport that is started
   * may say at once that it has ended. What comes meanwhile waits in line.
   */
  handOver(transport: Transport, receiver: Receiver): void {
    for (let chunk = this.#rest.shift(); chunk !== undefined; chunk = this.#rest.shift()) {
      receiver.receive(chunk, 0, chunk.byteLength);
    }
    transport.start(receiver);
  }

  receive(chunk: Uint8Array, from: number, to: number): void {
    if (from === to) return;
    if (this.#isSettled) {
      this.#rest.push(chunk.slice(from, to));
      return;
    }
    if (this.#quoted.byteLength < maxQuotedBytes) {
      this.#quoted = concat(this.#quoted, chunk.subarray(from, to));
    }
    // Checked by hand, since a length read out of prose would be waited for.
    if (!this.#canBeAnswer()) {
      this.isProse = true;
      this.#fail(
        new PlugError(
          "not_a_plugin",
          `the program printed ${this.quote} instead of a handshake; a plugin's own prints must come after run…`,
        ),
      );
      return;
    }
    try {
      const end = this.#reader.push(chunk, from, to);
      if (end < to) this.#rest.push(chunk.slice(end, to));
    } catch (error) {
      this.#fail(
        new PlugError(
          "not_a_plugin",
          `the program answered what is not a handshake: ${(error as Error).message}`,
        ),
      );
    }
  }

  writable(): void {}

  ended(cause?: Error): void {
    this.#fail(
      new PlugError(
        "not_a_plugin",
        this.#quoted.byteLength === 0
          ? "the program closed its output without answering the handshake; a plugin has to call run…"
          : `the program closed its output in the middle of the handshake, after ${this.#quoted.byteLength} bytes`,
        { cause },
      ),
    );
  }

  #canBeAnswer(): boolean {
    const id = this.#handshakeId;
    const [high, low] = this.#quoted;
    if (high !== id >> 8 && high !== wire1ErrorId >> 8) return false;
    if (low === undefined) return true;
    const got = (high << 8) | low;
    return got === id || got === wire1ErrorId;
  }

  get #handshakeId(): number {
    return ((this.#wanted[0] as WantedService).index << 8) | handshakeMethod;
  }

  #onFrame(id: number, payload: Uint8Array): void {
    if (id === wire1ErrorId) {
      this.#fail(this.#refusedByGo(cutText(new TextDecoder().decode(payload))));
      return;
    }
    let answer: Handshake;
    try {
      answer = decodeHandshake(payload);
    } catch (error) {
      this.#fail(
        new PlugError(
          "not_a_plugin",
          `the program answered a handshake of ${payload.byteLength} bytes that cannot be read`,
          { cause: error },
        ),
      );
      return;
    }
    let outcome: HostOutcome;
    try {
      outcome = evaluate(answer, this.#wanted);
    } catch (error) {
      this.#fail(error as PlugError);
      return;
    }
    this.#isSettled = true;
    this.settled = () => outcome;
    this.#settle.resolve(outcome);
  }

  // The Go original's own values never cross the wire, so all there is to name are ours and its
  // words.
  #refusedByGo(text: string): PlugError {
    const { name, index, magic, version } = this.#wanted[0] as WantedService;
    return new PlugError(
      "handshake_mismatch",
      `the plugin refused: "${text}"; the host asked for ${name} by service index ${index}, magic "${magic}", version ${version}`,
      { origin: "peer" },
    );
  }

  #fail(error: PlugError): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.settled = () => {
      throw error;
    };
    this.#settle.reject(error);
  }
}

function evaluate(answer: Handshake, wanted: readonly WantedService[]): HostOutcome {
  const { hello } = answer;
  if (hello === undefined) return evaluateWire1(answer, wanted);
  if (hello.role === "host") {
    throw new PlugError(
      "not_a_plugin",
      "the program echoed the handshake: it repeats its input, and is no plugin",
    );
  }
  if (hello.error !== undefined) {
    const code = hello.error.code === "start_failed" ? "start_failed" : "handshake_mismatch";
    throw new PlugError(code, hello.error.rawMessage, { origin: "peer" });
  }
  if (!hello.protocols.includes(wire2)) {
    throw new PlugError(
      "handshake_mismatch",
      `the plugin (${hello.runtime}) chose wire ${hello.protocols.join(", ")}; this host (${runtimeName}) speaks wire ${wire2}`,
    );
  }
  const transport = hello.transports[0];
  if (hello.role !== "plugin" || transport === undefined) {
    throw new PlugError(
      "not_a_plugin",
      "the program answered a handshake without a role or transport",
    );
  }
  for (const { name, versions } of wanted) checkService(name, versions, hello.services);
  checkMethodIds(hello.services, hello.runtime);
  return {
    wire: 2,
    services: hello.services,
    limits: peerLimits(hello.limits, hello.runtime),
    transport,
    runtime: hello.runtime,
    origin: hello.origin,
  };
}

function checkService(
  name: string,
  versions: readonly number[],
  services: readonly HelloService[],
): void {
  const service = services.find((candidate) => candidate.name === name);
  const version = service?.versions[0];
  if (version !== undefined && versions.includes(version)) return;
  throw new PlugError(
    "handshake_mismatch",
    `the host asked for ${name} version ${versions.join(" or ")}, and the plugin answered with ${service === undefined ? "other services" : `version ${version}`}`,
  );
}

function evaluateWire1(answer: Handshake, wanted: readonly WantedService[]): HostOutcome {
  const { name, magic, version } = wanted[0] as WantedService;
  if (answer.magic !== magic || answer.version !== version) {
    throw new PlugError(
      "handshake_mismatch",
      `the plugin has magic "${answer.magic}" and version ${answer.version}; the host asked for ${name} with magic "${magic}" and version ${version}`,
    );
  }
  if (wanted.length > 1) {
    throw new PlugError(
      "handshake_mismatch",
      `the plugin is built with the Go original, which serves one service; the host asked for ${wanted.length}: ${wanted.map((service) => service.name).join(", ")}`,
    );
  }
  return { wire: 1 };
}

function quote(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, maxQuotedBytes));
  return JSON.stringify(bytes.byteLength > maxQuotedBytes ? `${text}…` : text);
}

function concat(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(left.byteLength + right.byteLength);
  both.set(left);
  both.set(right, left.byteLength);
  return both;
}
