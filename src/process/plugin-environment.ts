// The environment that a plugin gets: a short list, so that a host's secrets stay in the host.

/** Passed on from the host's environment if they are set there; also every `LC_…`. */
export const passedVariables: readonly string[] = [
  "HOME",
  "LANG",
  "LOGNAME",
  "NO_COLOR",
  "PATH",
  "PLUG_NO_FFI",
  "PLUG_TRACE",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
];

/** Tells a Bun executable to be plain Bun and run a script. */
export const beBunVariable = "BUN_BE_BUN";
// Ends a Bun child with its parent, also one that is too busy to see the end of its input.
export const noOrphansVariable = "BUN_FEATURE_FLAG_NO_ORPHANS";

// What tells the host's own Bun how to behave is not for the plugin's.
const hostVariables = [beBunVariable, "BUN_OPTIONS"];

export interface PluginEnvironmentOptions {
  /** Set on top of the list. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Pass everything on, not only the list. */
  readonly inheritEnv?: boolean | undefined;
  readonly isScript: boolean;
}

export function pluginEnvironment(options: PluginEnvironmentOptions): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value === undefined) continue;
    const isListed = passedVariables.includes(name) || name.startsWith("LC_");
    if (options.inheritEnv === true || isListed) result[name] = value;
  }
  result[noOrphansVariable] = "1";
  for (const name of hostVariables) delete result[name];
  for (const [name, value] of Object.entries(options.env ?? {})) {
    if (value === undefined) delete result[name];
    else result[name] = value;
  }
  if (options.isScript) result[beBunVariable] = "1";
  return result;
}
