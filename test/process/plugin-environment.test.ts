import { describe, expect, test } from "bun:test";

import {
  passedVariables,
  pluginEnvironment,
  type PluginEnvironmentOptions,
} from "../../src/process/plugin-environment.ts";

/** What a plugin gets from a host with this environment, and nothing else in it. */
function environmentOf(
  host: Record<string, string>,
  options: Partial<PluginEnvironmentOptions> = {},
): Record<string, string> {
  const own = { ...process.env };
  for (const name of Object.keys(own)) delete process.env[name];
  Object.assign(process.env, host);
  try {
    return pluginEnvironment({ isScript: false, ...options });
  } finally {
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, own);
  }
}

// Ends a plugin of ours with its host; always there.
const always = { BUN_FEATURE_FLAG_NO_ORPHANS: "1" };

describe("the environment of a plugin", () => {
  test("has what is on the list and set in the host, and every LC_…", () => {
    const listed = Object.fromEntries(passedVariables.map((name) => [name, `its ${name}`]));
    const host = {
      ...listed,
      LC_ALL: "C",
      LC_CTYPE: "en",
      AWS_SECRET: "x",
      HOMEBREW: "x",
      LC: "x",
    };

    expect(environmentOf(host)).toEqual({ ...listed, LC_ALL: "C", LC_CTYPE: "en", ...always });
  });

  test("has nothing that the host has not", () => {
    expect(environmentOf({})).toEqual(always);
  });

  test("passes on HOME, LANG, LOGNAME, NO_COLOR, PATH, PLUG_NO_FFI, PLUG_TRACE, SHELL, TERM, TMPDIR, TZ and USER", () => {
    expect(passedVariables).toEqual([
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
    ]);
  });

  test("has everything with inheritEnv, but what tells the host's own Bun how to behave", () => {
    const host = { PATH: "/bin", AWS_SECRET: "x", BUN_OPTIONS: "--hot", BUN_BE_BUN: "1" };

    expect(environmentOf(host, { inheritEnv: true })).toEqual({
      PATH: "/bin",
      AWS_SECRET: "x",
      ...always,
    });
  });

  test("has what env says on top, and not what env says is undefined", () => {
    const env = { PATH: "/usr/bin", HOME: undefined, MINE: "1", MISSING: undefined };

    expect(environmentOf({ PATH: "/bin", HOME: "/root", TERM: "dumb" }, { env })).toEqual({
      PATH: "/usr/bin",
      TERM: "dumb",
      MINE: "1",
      ...always,
    });
  });

  test("may be told by env what is taken out otherwise", () => {
    const env = { BUN_OPTIONS: "--smol", BUN_FEATURE_FLAG_NO_ORPHANS: undefined };

    expect(environmentOf({ BUN_OPTIONS: "--hot" }, { env })).toEqual({ BUN_OPTIONS: "--smol" });
  });

  test("makes the host's executable plain Bun for a script, whatever env says", () => {
    const env = { BUN_BE_BUN: undefined };

    expect(environmentOf({}, { isScript: true, env })["BUN_BE_BUN"]).toBe("1");
    expect(environmentOf({ BUN_BE_BUN: "1" }, { isScript: false })["BUN_BE_BUN"]).toBeUndefined();
  });

  test("leaves the host's own environment as it is", () => {
    const before = { ...process.env };

    pluginEnvironment({ isScript: true, env: { MINE: "1" } });

    expect({ ...process.env }).toEqual(before);
  });
});
