// Both halves of a handshake, without processes.

import { defaultLimits, type Limits } from "../../src/call/limits.ts";
import { wire1Frame } from "../../src/frame/wire1-frame.ts";
import { encodeHandshake, type Hello, type HelloTransport } from "../../src/handshake/hello.ts";
import {
  AnswerReader,
  type HostOutcome,
  offerFrame,
  type WantedService,
} from "../../src/handshake/host-handshake.ts";
import {
  type Decision,
  OfferReader,
  type ServedService,
} from "../../src/handshake/plugin-handshake.ts";

export const wantedKv: WantedService = {
  name: "example.KV",
  index: 0,
  magic: "magic",
  version: 1,
  versions: [1],
};

export const servedKv: ServedService = { ...wantedKv, methods: ["Get", "Put"] };

export const offeredTransports: readonly HelloTransport[] = [
  { kind: "socket", fds: [3] },
  { kind: "stdio", fds: [] },
];

/** What a plugin says that has nothing special to say. */
export const pluginHello: Hello = {
  role: "plugin",
  protocols: [2],
  services: [{ name: "example.KV", versions: [1], methods: ["Get", "Put"], firstMethodId: 0 }],
  limits: defaultLimits,
  transports: [{ kind: "stdio", fds: [] }],
  runtime: "peer/1",
  error: undefined,
  offers: [],
  origin: 0,
};

/** The frame of a plugin's answer; without `hello` it is that of the Go original. */
export function answerFrame(
  hello: Partial<Hello> | undefined,
  { version = 1, magic = "magic", id = 0x00ff } = {},
): Uint8Array {
  const whole = hello === undefined ? undefined : { ...pluginHello, ...hello };
  return wire1Frame(id, encodeHandshake({ version, magic, hello: whole }));
}

/** What a host makes of what a program says. */
export function outcomeOf(
  wanted: readonly WantedService[],
  ...chunks: readonly Uint8Array[]
): Promise<HostOutcome> {
  const reader = new AnswerReader(wanted);
  for (const chunk of chunks) reader.receive(chunk, 0, chunk.byteLength);
  return reader.outcome;
}

/** What a plugin makes of a host's offer. */
export function decisionOf(
  offer: Uint8Array,
  served: readonly ServedService[],
  limits: Limits = defaultLimits,
): Decision {
  const reader = new OfferReader();
  if (reader.push(offer) !== offer.byteLength) throw new Error("the offer is not complete");
  return reader.decide(served, limits);
}

/** The whole exchange: what each side makes of the other. */
export async function exchange(
  wanted: readonly WantedService[],
  served: readonly ServedService[],
): Promise<{ readonly decision: Decision; readonly outcome: Promise<HostOutcome> }> {
  const decision = decisionOf(offerFrame(wanted, defaultLimits, offeredTransports), served);
  const answer =
    decision.wire === 2
      ? decision.answer(decision.transports[0] as HelloTransport)
      : decision.answer;
  return { decision, outcome: outcomeOf(wanted, answer) };
}
