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
  /** The repository that it is taken from. @defaultValue this one */
  readonly root?: string;
}

/** The peer that the others are divided by. */
export const reference = "Go original";

const calls: readonly Ability[] = ["calls", "concurrency", "start"];
const unary: readonly Ability[] = [...calls, "payloads", "program", "process"];
const all: readonly Ability[] = [...unary, "streams"];

const originalPlugin: Program = { go: "github.com/elliotmr/plug/example/kv" };

/** bun-plug, by one of its transports. */
function own(name: string, transport: string, more: readonly Ability[] = []): Peer {
  return {
    name,
    host: { module: "bench/peer/bun-plug/host.ts" },
    plugin: { script: "bench/peer/bun-plug/plugin.ts" },
    variant: transport,
    version: "own",
    abilities: new Set<Ability>([...all, ...more]),
  };
}

/** A folder with a host.ts and a plugin.ts. */
function inTypeScript(
  name: string,
  folder: string,
  version: Peer["version"],
  abilities: readonly Ability[],
): Peer {
  return {
    name,
    host: { module: `bench/peer/${folder}/host.ts` },
    plugin: { script: `bench/peer/${folder}/plugin.ts` },
    variant: "",
    version,
    abilities: new Set(abilities),
  };
}

/** What starts no plugin. */
function withoutPlugin(
  name: string,
  folder: string,
  version: Peer["version"],
  abilities: readonly Ability[],
): Peer {
  const { plugin: _, ...peer } = inTypeScript(name, folder, version, abilities);
  return peer;
}

export const peers: readonly Peer[] = [
  own("bun-plug", "", ["blocking", "own"]),
  // One line for each transport that is not the default.
  own("bun-plug, socket", "socket"),
  own("bun-plug, stdio", "stdio"),
  { ...own("bun-plug, socket, no polling", "socket, no polling"), abilities: new Set(["calls"]) },
  // The Go original's protocol, by our code in either role.
  {
    ...inTypeScript("wire 1: Bun host, Go plugin", "wire1", "own", []),
    plugin: originalPlugin,
    abilities: new Set<Ability>([...calls, "program"]),
  },
  {
    name: "wire 1: Go host, Bun plugin",
    host: { go: "./cmd/original-host" },
    plugin: { script: "bench/peer/wire1/plugin.ts" },
    variant: "",
    version: "own",
    abilities: new Set<Ability>([...calls, "program"]),
  },
  {
    name: reference,
    host: { go: "./cmd/original-host" },
    plugin: originalPlugin,
    variant: "",
    version: { go: "github.com/elliotmr/plug" },
    abilities: new Set<Ability>([...calls, "blocking", "payloads", "program"]),
  },
  {
    name: "go-plugin, gRPC",
    host: { go: "./cmd/go-plugin-host" },
    plugin: { go: "./cmd/go-plugin-plugin" },
    variant: "",
    version: { go: "github.com/hashicorp/go-plugin" },
    abilities: new Set<Ability>([...calls, "payloads", "program", "streams"]),
  },
  inTypeScript("Bun.spawn IPC", "bun-ipc", "bun", unary),
  inTypeScript("connect-node", "connect-node", { npm: "@connectrpc/connect-node" }, all),
  inTypeScript("grpc-js", "grpc-js", { npm: "@grpc/grpc-js" }, all),
  inTypeScript("vscode-jsonrpc", "vscode-jsonrpc", { npm: "vscode-jsonrpc" }, unary),
  inTypeScript("MCP SDK", "mcp-sdk", { npm: "@modelcontextprotocol/server" }, unary),
  inTypeScript("kkrpc", "kkrpc", { npm: "kkrpc" }, unary),
  withoutPlugin("comlink worker", "comlink", { npm: "comlink" }, [...calls, "payloads"]),
  {
    name: "limit: pipes",
    host: { go: "./cmd/pipe" },
    variant: "",
    version: "go",
    abilities: new Set<Ability>(["calls", "payloads", "start"]),
  },
  withoutPlugin("limit: memcpy", "memcpy", "bun", ["payloads"]),
];
