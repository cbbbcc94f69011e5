// Preloaded: makes toBinary and fromBinary of protobuf-es throw for as long as a codec is at work.
//
// Only then, because protobuf-es itself needs them: to load descriptors, and for Any in JSON.

import { plugin } from "bun";

/** Set by the testee around each use of a codec. */
export const working = { codec: false };

const holder = Symbol.for("bun-plug.test.working");
(globalThis as Record<symbol, unknown>)[holder] = working;

const guard = `if (globalThis[Symbol.for("bun-plug.test.working")].codec) {
  throw new Error("protobuf-es was asked");
}`;
// Everything that reads or writes a message, whoever calls it.
const entrances =
  /^(export function (?:toBinary|fromBinary|mergeFromBinary|readField|writeField)\([^)]*\) \{)$/gm;

plugin({
  name: "forbid-binary",
  setup(build) {
    build.onLoad(
      { filter: /@bufbuild\/protobuf\/dist\/\w+\/(?:to|from)-binary\.js$/ },
      async ({ path }) => {
        const text = await Bun.file(path).text();
        const guarded = text.replace(entrances, `$1\n${guard}`);
        if (guarded === text) throw new Error(`${path} has none of the functions`);
        return { contents: guarded, loader: "js" };
      },
    );
  },
});
