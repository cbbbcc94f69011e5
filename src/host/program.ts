// What a path stands for: a program of its own, or a script for the host's own Bun.

import { basename, extname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { PlugError } from "../error/plug-error.ts";

const scriptEndings = new Set([".ts", ".mts", ".cts", ".tsx", ".js", ".mjs", ".cjs", ".jsx"]);

export interface Program {
  /** Absolute. */
  readonly path: string;
  /** For log lines and error texts: the file's name without its ending. */
  readonly name: string;
  readonly isScript: boolean;
}

/**
 * A file path, relative to the working directory of the host, or a `file:` URL. Never looked up in
 * `PATH`.
 *
 * @throws {PlugError} `invalid_argument`: it is neither.
 */
export function programOf(path: string | URL): Program {
  const file = filePath(path);
  const ending = extname(file).toLowerCase();
  const isScript = scriptEndings.has(ending);
  return { path: resolve(file), name: basename(file, isScript ? extname(file) : ""), isScript };
}

function filePath(path: string | URL): string {
  if (typeof path === "string" && !path.startsWith("file:")) {
    if (path !== "" && !path.includes("\0")) return path;
    throw new PlugError("invalid_argument", `"${path}" is not the path of a plugin`);
  }
  try {
    return fileURLToPath(path);
  } catch (cause) {
    throw new PlugError("invalid_argument", `"${String(path)}" is not the URL of a file`, {
      cause,
    });
  }
}

/**
 * The command that runs a program. Scripts run on the executable of the host, so that a compiled
 * host needs no Bun beside it, and without the `.env` and `bunfig.toml` of the folder they happen to
 * start in.
 */
export function commandOf(program: Program, args: readonly string[]): string[] {
  if (!program.isScript) return [program.path, ...args];
  return [process.execPath, "--no-env-file", "--config=/dev/null", "run", program.path, ...args];
}
