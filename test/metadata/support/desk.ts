// A desk that does what the text of its call says, as JSON: which headers and trailers it answers
// with, whether it fails, what else it calls.

import { PlugError } from "bun-plug";
import type { CallContext, Metadata, MetadataInit } from "bun-plug";

import { type DeskHandler, Logger, type LoggerHandler } from "../../peer/gen/peer_plug.ts";

export interface Script {
  readonly headers?: Readonly<Record<string, string>>;
  readonly trailers?: Readonly<Record<string, string>>;
  /** The text of an error of code `aborted`, after all messages. */
  readonly error?: string;
  /** Characters of the response, or of each message. Without it they say what headers came. */
  readonly length?: number;
  /** Messages of a stream. @defaultValue 2 */
  readonly count?: number;
  /** Calls the host's logger with its context in these ways, one after the other. */
  readonly calls?: readonly ("context" | "in options" | "with own headers" | "without")[];
}

/** Metadata as a test wants to see it: pairs, with bytes as numbers. */
export function plain(metadata: Metadata): string[] {
  return [...metadata].map(([name, value]) => `${name}: ${value}`);
}

function obey(text: string, context: CallContext): Script {
  const script = JSON.parse(text === "" ? "{}" : text) as Script;
  for (const [name, value] of Object.entries(script.headers ?? {})) {
    context.responseHeaders.append(name, valueOf(name, value));
  }
  return script;
}

function finish(script: Script, context: CallContext): string {
  for (const [name, value] of Object.entries(script.trailers ?? {})) {
    context.responseTrailers.append(name, valueOf(name, value));
  }
  if (script.error !== undefined) throw new PlugError("aborted", script.error);
  return messageOf(script, context);
}

function valueOf(name: string, value: string): string | Uint8Array {
  return name.endsWith("-bin") ? new TextEncoder().encode(value) : value;
}

function messageOf({ length }: Script, { requestHeaders }: CallContext): string {
  return length === undefined ? JSON.stringify(plain(requestHeaders)) : "x".repeat(length);
}

const own: MetadataInit = { own: "1", tracestate: "own" };

async function callLogger(script: Script, context: CallContext): Promise<void> {
  for (const way of script.calls ?? []) {
    const logger = context.host(Logger);
    if (way === "context") await logger.log(way, context);
    else if (way === "in options") await logger.log(way, { context, timeoutMs: 5_000 });
    else if (way === "with own headers") await logger.log(way, { context, headers: own });
    else await logger.log(way, { headers: {} });
  }
}

export function metadataDesk(): DeskHandler {
  return {
    async ask(text, context) {
      const script = obey(text, context);
      await callLogger(script, context);
      return finish(script, context);
    },
    hand: (text, _ref, context) => finish(obey(text, context), context),
    make: (text, context) => {
      finish(obey(text, context), context);
      return { text, ref: context.refer(Logger, echoingLogger) };
    },
    async *watch(text, context) {
      const script = obey(text, context);
      for (let i = 0; i < (script.count ?? 2); i++) yield { text: messageOf(script, context) };
      finish(script, context);
    },
    async gather(messages, context) {
      let script: Script = {};
      for await (const { text } of messages) if (text.startsWith("{")) script = obey(text, context);
      return finish(script, context);
    },
    async *chat(messages, context) {
      let script: Script = {};
      for await (const { text } of messages) {
        if (text.startsWith("{")) script = obey(text, context);
        yield { text: messageOf(script, context) };
      }
      finish(script, context);
    },
  };
}

/** Says what headers came with a line, and how long it was. */
const echoingLogger: LoggerHandler = {
  log: (text, { requestHeaders }) => JSON.stringify([text.length, ...plain(requestHeaders)]),
  tail: () => [],
  logAll: () => "",
  mirror: (messages) => messages,
};
