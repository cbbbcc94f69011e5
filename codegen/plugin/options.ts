// The options of the generator: `--plug_opt=…`, or `opt:` in buf.gen.yaml.
//
// Those that every protobuf-es generator has (import_extension, rewrite_imports, keep_empty_files,
// …) are parsed by protoplugin; this file adds ours, and the defaults that differ.

import { InputError } from "./problem.ts";

/** How rpcs look as methods: `get(key) → value`, or `get({ key }) → { value }`. */
export type CallStyle = "unwrapped" | "messages";

export interface PlugOptions {
  readonly calls: CallStyle;
  /** Codecs of all messages, and no services. */
  readonly codecOnly: boolean;
}

/**
 * The parameter with what it leaves out. protoplugin's own defaults are JavaScript, which it makes
 * with a TypeScript compiler that we do not ship, and imports without an extension, which only
 * bundlers resolve. With `.js`, Bun and every `moduleResolution` find the `.ts` file.
 *
 * @throws {InputError} a target other than ts.
 */
export function withDefaults(parameter: string): string {
  const given = parameter === "" ? [] : parameter.split(",");
  for (const option of given) {
    if (keyOf(option) === "target" && option !== "target=ts") {
      throw new InputError(`invalid option "${option}": the only target is target=ts`);
    }
  }
  const defaults = ["target=ts", "import_extension=js"].filter(
    (option) => !given.some((other) => keyOf(other) === keyOf(option)),
  );
  return [...defaults, ...given].join(",");
}

function keyOf(option: string): string {
  return option.split("=", 1)[0] ?? "";
}

/** What is thrown here, protoplugin completes to `invalid option "…": …`. */
export function parseOptions(given: readonly { key: string; value: string }[]): PlugOptions {
  let calls: CallStyle = "unwrapped";
  let codecOnly = false;
  for (const { key, value } of given) {
    if (key === "calls") {
      if (value !== "unwrapped" && value !== "messages") {
        throw new Error(`calls must be unwrapped or messages, not "${value}"`);
      }
      calls = value;
    } else if (key === "codec") {
      if (value !== "only") throw new Error(`codec must be only, not "${value}"`);
      codecOnly = true;
    } else {
      throw new Error(`there is no option "${key}"`);
    }
  }
  return { calls, codecOnly };
}
