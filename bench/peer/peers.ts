// All peers: what they are made of, and what they can be asked. README.md says how each is set up.

import type { Ability } from "../case/case.ts";

/** A program in TypeScript, compiled before it is used, or one in Go. */
export type Program =
  | { readonly script: string }
  /** A package of the module in go/, or one that it requires. */
  | { readonly go: string };

export interface Peer {
  readonly name: string;
  /** Runs the rounds: `host.ts` of a folder, in Bun, or a program in Go. */
  readonly host: { readonly module: string } | { readonly go: string };
  /** What the host starts; absent where it starts nothing, or itself. */
  readonly plugin?: Program;
  /** One of the host's ways; empty for its default. */
  readonly variant: string;
  /** Whose version is shown: a package of npm, a module of Go, or the platform itself. */
  readonly version: { readonly npm: string } | { readonly go: string } | "bun" | "go" | "own";
  readonly abilities: ReadonlySet<Ability>;
}

const all: readonly Ability[] = ["calls", "concurrency", "payloads", "streams", "start", "process"];
const unaryOnly: readonly Ability[] = ["calls", "concurrency", "payloads", "start", "process"];

/** The peer that the others are divided by. */
export const reference = "Go original";

const ownPlugin: Program = { script: "bench/peer/bun-plug/plugin.ts" };
const originalPlugin: Program = { go: "github.com/elliotmr/plug/example/kv" };

export const peers: readonly Peer[] = [
  own("bun-plug", "", [...all, "own"]),
  // One line for each transport that is not the default.
  own("bun-plug, stdio", "stdio", [...all, "own"]),
];

function own(name: string, variant: string, abilities: readonly Ability[]): Peer {
  return {
    name,
    host: { module: "bench/peer/bun-plug/host.ts" },
    plugin: ownPlugin,
    variant,
    version: "own",
    abilities: new Set(abilities),
  };
}
void unaryOnly;
void originalPlugin;
