// The rooms of src/ and who may know whom; src/README.md draws the map.

import { describe, expect, test } from "bun:test";
import { join, relative } from "node:path";

import { packageVersion } from "../src/handshake/runtime-name.ts";

const root = join(import.meta.dir, "..");
const src = join(root, "src");

// What each room may import besides itself: rooms, or single files of them. The order is the data
// path, top to bottom, and nothing points back up. The table in src/README.md says the same.
const mayImport: Record<string, readonly string[]> = {
  host: [
    "rpc",
    "connection",
    "wire1",
    "handshake",
    "process",
    "call",
    "stream/payload.ts",
    "frame/trace-line.ts",
    "transport",
    "error",
  ],
  plugin: [
    "rpc",
    "connection",
    "wire1",
    "handshake",
    "process",
    "call",
    "frame/trace-line.ts",
    "transport",
    "error",
  ],
  rpc: ["codec", "call", "stream", "frame/frame-header.ts", "metadata", "error"],
  connection: ["call", "stream", "frame", "metadata", "transport/transport.ts", "error"],
  wire1: ["call", "stream/payload.ts", "frame", "transport/transport.ts", "error"],
  handshake: ["call/limits.ts", "frame", "transport/transport.ts", "protobuf", "error"],
  codec: ["stream/gather.ts", "error"],
  call: ["stream", "metadata", "error"],
  stream: ["error"],
  frame: ["protobuf", "error"],
  process: ["transport", "error"],
  transport: [],
  metadata: ["protobuf", "error"],
  protobuf: [],
  error: [],
};

// Modules that are not ours: who reaches the system, and who knows protobuf.
const mayUse: Record<string, readonly string[]> = {
  host: ["node:fs", "node:path", "node:url"],
  plugin: ["node:console"],
  rpc: ["@bufbuild/protobuf"],
  codec: ["@bufbuild/protobuf", "@bufbuild/protobuf/wkt"],
  process: ["node:fs", "node:os", "bun:ffi"],
  transport: ["node:fs", "node:stream"],
};

// Files of more lines than this, each with its reason.
const maxLines = 400;
const longFiles: Record<string, string> = {};

interface SourceFile {
  /** Below src/, with forward slashes. */
  readonly path: string;
  /** Undefined for an entry. */
  readonly room: string | undefined;
  readonly text: string;
  /** What it imports: paths below src/, or names of modules. */
  readonly imports: readonly string[];
}

const files: readonly SourceFile[] = await Promise.all(
  [...new Bun.Glob("**/*.ts").scanSync({ cwd: src })].sort().map(async (path) => {
    const text = await Bun.file(join(src, path)).text();
    const specifiers = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)].map(
      ([, specifier]) => specifier as string,
    );
    return {
      path,
      room: path.includes("/") ? path.split("/")[0] : undefined,
      text,
      imports: specifiers.map((specifier) =>
        specifier.startsWith(".") ? relative(src, join(src, path, "..", specifier)) : specifier,
      ),
    };
  }),
);
const entries = files.filter(({ room }) => room === undefined);
const inRooms = files.filter(({ room }) => room !== undefined);

function isOurs(target: string): boolean {
  return target.endsWith(".ts");
}

test("there is something to check", () => {
  expect(inRooms.length).toBeGreaterThan(40);
  expect(inRooms.flatMap(({ imports }) => imports).length).toBeGreaterThan(100);
  expect([...new Set(inRooms.map(({ room }) => room as string))].sort()).toEqual(
    Object.keys(mayImport).sort(),
  );
});

describe("a room", () => {
  test("imports itself and what the table says, and nothing else", () => {
    const violations = inRooms.flatMap(({ path, room, imports }) => {
      const allowed = [room as string, ...(mayImport[room as string] ?? [])];
      return imports
        .filter(isOurs)
        .filter((target) => !allowed.includes(target.split("/")[0] as string))
        .filter((target) => !allowed.includes(target))
        .map((target) => `${path} imports ${target}`);
    });

    expect(violations).toEqual([]);
  });

  test("may import what the table in src/README.md says", async () => {
    const readme = await Bun.file(join(src, "README.md")).text();
    const rows = [...readme.matchAll(/^\| ([a-z][^|]*) \| ([^|]*) \| [^|]* \|$/gm)]
      .map(([, rooms, targets]) => [namesIn(rooms), namesIn(targets)] as const)
      .filter(([rooms]) => rooms[0] !== "room");
    const said: Record<string, readonly string[]> = Object.fromEntries(
      rows.flatMap(([rooms, targets]) => rooms.map((room) => [room, targets])),
    );

    expect(said).toEqual(mayImport);
    function namesIn(cell = ""): string[] {
      return cell.match(/[\w./-]+/g) ?? [];
    }
  });

  test("is below whatever imports it: the table has no circles", () => {
    const order = Object.keys(mayImport);
    const upward = Object.entries(mayImport).flatMap(([room, targets]) =>
      targets
        .map((target) => target.split("/")[0] as string)
        .filter((target) => order.indexOf(target) <= order.indexOf(room))
        .map((target) => `${room} → ${target}`),
    );

    expect(upward).toEqual([]);
  });

  test("has nothing in the table that it does not need", () => {
    const needed = new Set(
      inRooms.flatMap(({ room, imports }) =>
        imports.flatMap((target) => [`${room} ${target}`, `${room} ${target.split("/")[0]}`]),
      ),
    );
    const unneeded = Object.entries(mayImport).flatMap(([room, targets]) =>
      targets.map((target) => `${room} ${target}`).filter((pair) => !needed.has(pair)),
    );

    expect(unneeded).toEqual([]);
  });

  test("uses the modules that the table says, and bun:ffi in one file alone", () => {
    const violations = inRooms.flatMap(({ path, room, imports }) =>
      imports
        .filter((target) => !isOurs(target))
        .filter((target) => !(mayUse[room as string] ?? []).includes(target))
        .map((target) => `${path} uses ${target}`),
    );
    const usesFfi = files.filter(({ imports }) => imports.includes("bun:ffi"));

    expect(violations).toEqual([]);
    expect(usesFfi.map(({ path }) => path)).toEqual(["process/libc.ts"]);
  });

  test("that is pure knows no time, no promise and no process: frame and codec", () => {
    const impure =
      /\b(performance|setTimeout|queueMicrotask|Promise|await|process|Bun(?!\.allocUnsafe))\b/;
    const lines = inRooms
      .filter(({ room }) => room === "frame" || room === "codec")
      .flatMap(({ path, text }) =>
        text
          .split("\n")
          .filter((line) => !/^\s*(\/\/|\*|\/\*)/.test(line) && impure.test(line))
          .map((line) => `${path}: ${line.trim()}`),
      );

    expect(lines).toEqual([]);
  });
});

// 22 ms for whatever is not bundled; the wire alone takes 4, and 1 in a compiled plugin.
test("nothing loads @bufbuild/protobuf before it is asked for: only types are imported", () => {
  const loading = files.filter(({ text }) =>
    /^(?:import|export) (?!type )[^;]*\bfrom "@bufbuild\/protobuf(?:\/\w+)?"/m.test(text),
  );

  expect(loading.map(({ path }) => path)).toEqual([]);
});

/** Files below src/ that an entry loads. */
function reached(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  const file = files.find((other) => other.path === path);
  for (const target of file?.imports ?? []) if (isOurs(target)) reached(target, seen);
  return seen;
}

// node:fs alone takes a plugin 1 ms of the 4 that an empty Bun program starts in.
test("a plugin loads no module of the system before it needs it", () => {
  const ofPlugin = reached("plugin.ts");
  const loading = files
    .filter(({ path }) => ofPlugin.has(path))
    .filter(({ text }) => /^(?:import|export) (?!type )[^;]*\bfrom "(?:node|bun):/m.test(text));

  expect(loading.map(({ path }) => path)).toEqual([]);
});

describe("host and plugin", () => {
  test("never import each other, and only entries put them together", () => {
    const both = files.filter(
      ({ room, imports }) =>
        (room === "host" || imports.some((target) => target.startsWith("host/"))) &&
        (room === "plugin" || imports.some((target) => target.startsWith("plugin/"))),
    );

    expect(both.filter(({ room }) => room !== undefined)).toEqual([]);
    expect(both.map(({ path }) => path)).toEqual(["codegen-v1.ts", "testing.ts"]);
  });

  test("are not reached by the entry of the other side", () => {
    const ofHost = [...reached("index.ts")];
    const ofPlugin = [...reached("plugin.ts")];

    expect(ofHost.filter((path) => path.startsWith("plugin/"))).toEqual([]);
    expect(ofPlugin.filter((path) => path.startsWith("host/"))).toEqual([]);
    expect([ofHost.length, ofPlugin.length].every((count) => count > 20)).toBe(true);
  });
});

describe("a file of src", () => {
  test(`has at most ${maxLines} lines, unless the list says why not`, () => {
    const long = files.filter(({ text }) => text.split("\n").length - 1 > maxLines);

    expect(long.map(({ path }) => path)).toEqual(Object.keys(longFiles));
  });

  test("starts with what it is", () => {
    const mute = files.filter(({ text }) => !text.startsWith("// "));

    expect(mute.map(({ path }) => path)).toEqual([]);
  });
});

// What printed codecs are made of, for files with services and for those without.
const codecNames = [
  "MessageCodec",
  "Reader",
  "beginSize",
  "beginWrite",
  "bool",
  "bytes",
  "bytesOf",
  "double",
  "fixed32",
  "fixed64",
  "float",
  "genericCodec",
  "has",
  "held",
  "hold",
  "int32",
  "int64",
  "isMade",
  "isZero",
  "listOf",
  "mapOf",
  "notEncodable",
  "rawString",
  "reader",
  "requiredIsUnset",
  "setEntry",
  "sfixed32",
  "sfixed64",
  "sint32",
  "sint64",
  "string",
  "structFromJson",
  "structToJson",
  "uint32",
  "uint64",
  "unknownSize",
  "withDefaults",
  "writeHeld",
  "writeUnknown",
  "zero64",
];

// What users may rely on. A name that is added here is there to stay.
const publicNames: Record<string, readonly string[]> = {
  "index.ts": [
    "CallContext",
    "CallOptions",
    "Clients",
    "ErrorCode",
    "ErrorCodeInfo",
    "ErrorDetail",
    "InterceptedRequest",
    "InterceptedResponse",
    "Interceptor",
    "Limits",
    "LoadOptions",
    "MessageSource",
    "Metadata",
    "MetadataInit",
    "MetadataValue",
    "NextInterceptor",
    "Pair",
    "PeerOptions",
    "PlugError",
    "PlugErrorOptions",
    "PluginHandle",
    "PluginLine",
    "PluginProcess",
    "PluginStats",
    "ProcessEnd",
    "Ref",
    "Retry",
    "Service",
    "ServiceMap",
    "Sync",
    "VersionsOption",
    "codeFromConnect",
    "codeFromGrpc",
    "connectCode",
    "errorCodes",
    "isPlugError",
    "loadPlugin",
    "loadPluginSync",
    "pluginOf",
  ],
  "plugin.ts": [
    "CallContext",
    "CallOptions",
    "ErrorCode",
    "ErrorCodeInfo",
    "ErrorDetail",
    "InterceptedRequest",
    "InterceptedResponse",
    "Interceptor",
    "Limits",
    "MessageSource",
    "Metadata",
    "MetadataInit",
    "MetadataValue",
    "NextInterceptor",
    "Pair",
    "PeerOptions",
    "PlugError",
    "PlugErrorOptions",
    "ProcessEnd",
    "Ref",
    "Retry",
    "RunOptions",
    "Service",
    "VersionsOption",
    "codeFromConnect",
    "codeFromGrpc",
    "connectCode",
    "errorCodes",
    "isPlugError",
    "runPlugin",
  ],
  "testing.ts": ["TestOptions", "testService"],
  "codec.ts": ["allocate", ...codecNames].sort(),
  "codegen-v1.ts": [
    ...codecNames,
    "BidiStreamingMethod",
    "CallContext",
    "CallOptions",
    "Caller",
    "ClientStreamingMethod",
    "LoadOptions",
    "MessageSource",
    "RunOptions",
    "ServerStreamingMethod",
    "Service",
    "Sync",
    "TestOptions",
    "UnaryMethod",
    "loadService",
    "loadServiceSync",
    "runService",
    "testService",
  ].sort(),
};

/** Every name that a file exports, types too. */
function exportedNames(text: string): string[] {
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) =>
    (list as string)
      .split(",")
      .map((name) =>
        name
          .trim()
          .replace(/^type /, "")
          .replace(/^.* as /, ""),
      )
      .filter((name) => name !== ""),
  );
  const declared = [
    ...text.matchAll(/^export (?:async )?(?:function|class|const|interface|type) (\w+)/gm),
  ].map(([, name]) => name as string);
  return [...lists, ...declared].sort();
}

describe("the entries", () => {
  test("are those of package.json", async () => {
    const manifest = (await Bun.file(join(root, "package.json")).json()) as {
      readonly exports: Record<string, string | { readonly bun?: string }>;
    };
    const inSrc = Object.values(manifest.exports)
      .map((target) => (typeof target === "string" ? target : (target.bun ?? "")))
      .filter((target) => target.startsWith("./src/"))
      .map((target) => target.slice("./src/".length));

    expect(inSrc.sort()).toEqual(Object.keys(publicNames).sort());
    expect(entries.map(({ path }) => path)).toEqual(
      ["platform.ts", ...Object.keys(publicNames)].sort(),
    );
  });

  test.each(Object.entries(publicNames))("of %s: exactly these names", async (path, names) => {
    const { text } = entries.find((entry) => entry.path === path) as SourceFile;
    const values = Object.keys((await import(join(src, path))) as object).sort();

    expect(exportedNames(text)).toEqual([...names]);
    // What the text says is what is there, apart from types.
    expect(names).toEqual(expect.arrayContaining(values));
    expect(values).not.toBeEmpty();
  });

  test("import platform.ts first", () => {
    const late = entries.filter(
      ({ path, imports }) => path !== "platform.ts" && imports[0] !== "platform.ts",
    );

    expect(late.map(({ path }) => path)).toEqual([]);
  });
});

test("packageVersion is the version in package.json", async () => {
  const manifest = (await Bun.file(join(root, "package.json")).json()) as {
    readonly version: string;
  };

  expect(packageVersion).toBe(manifest.version);
});
