// The same call as each kind of rpc, over each transport, and what its caller sees of it.

import { join } from "node:path";

import type { CallOptions, MetadataInit, PlugError } from "bun-plug";
import type { TestOptions } from "bun-plug/testing";

import { type Desk, loadDesk, testDesk } from "../../peer/gen/peer_plug.ts";
import { metadataDesk, plain, type Script } from "./desk.ts";

export type Client = Desk & AsyncDisposable;

const plugin = join(import.meta.dir, "../fixture/plugin.ts");

function processOver(transport: "ring" | "socket" | "stdio") {
  return {
    over: transport,
    open: ({ load, run = {} }: TestOptions = {}): Promise<Client> =>
      loadDesk(plugin, { transport, args: [JSON.stringify(run)], ...load }),
  };
}

export const transports = [
  {
    over: "memory",
    open: (options?: TestOptions): Promise<Client> => testDesk(metadataDesk(), options),
  },
  processOver("ring"),
  processOver("socket"),
  processOver("stdio"),
] as const;

type Place = (desk: Desk, script: string, options: CallOptions) => AsyncIterable<string>;

async function* once(response: Promise<string>): AsyncGenerator<string> {
  yield await response;
}

async function* textsOf(notes: AsyncIterable<{ readonly text: string }>): AsyncGenerator<string> {
  for await (const { text } of notes) yield text;
}

/** Each kind of rpc: what it gives, as texts. Those that take messages are given two. */
export const kinds: readonly { readonly kind: string; readonly place: Place }[] = [
  { kind: "unary", place: (desk, script, options) => once(desk.ask(script, options)) },
  {
    kind: "server streaming",
    place: (desk, script, options) => textsOf(desk.watch(script, options)),
  },
  {
    kind: "client streaming",
    place: (desk, script, options) => once(desk.gather(twoNotes(script), options)),
  },
  {
    kind: "bidi streaming",
    place: (desk, script, options) => textsOf(desk.chat(twoNotes(script), options)),
  },
];

function twoNotes(script: string) {
  return [{ text: script }, { text: "again" }];
}

/**
 * What the caller is told, in order: `header …` and `trailer …` with all pairs, `message` for each
 * message or the response, and at last `end` or the code of the error.
 */
export async function told(
  place: Place,
  desk: Desk,
  script: Script,
  headers: MetadataInit = {},
): Promise<{ readonly events: string[]; readonly texts: string[]; readonly error?: PlugError }> {
  const events: string[] = [];
  const texts: string[] = [];
  const options: CallOptions = {
    headers,
    onHeader: (metadata) => void events.push(["header", ...plain(metadata)].join(" ")),
    onTrailer: (metadata) => void events.push(["trailer", ...plain(metadata)].join(" ")),
  };
  try {
    for await (const text of place(desk, JSON.stringify(script), options)) {
      texts.push(text);
      events.push("message");
    }
  } catch (error) {
    return { events: [...events, (error as PlugError).code], texts, error: error as PlugError };
  }
  return { events: [...events, "end"], texts };
}

/** A header `a` that makes metadata of this many bytes. */
export function valueFor(byteCount: number): string {
  // Two tags and lengths, and the name; lengths of 128 and more take two bytes.
  return "v".repeat(byteCount - (byteCount > 140 ? 9 : 7));
}
