// What can be said with a load, and what the plugin sees of it.

import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";

import { type LoadOptions, pluginOf } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { compile, temporaryFolder } from "../support/compiled.ts";
import {
  fixture,
  inEveryVariant,
  keptLines,
  leavingNothing,
  nothingRuns,
  shellProgram,
  text,
  trace,
} from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";
import { spanOf } from "../support/within.ts";

const about = fixture("about");
const silent = shellProgram("exec sleep 60");

type About = { env: Record<string, string>; args: string[]; cwd: string };

/** What a plugin that was loaded like this says of itself. */
async function aboutWith(options: LoadOptions, path: string | URL = about): Promise<About> {
  await using kv = await loadKV(path, options);
  const [env, args, cwd] = await Promise.all([kv.get("env"), kv.get("args"), kv.get("cwd")]);
  return { env: JSON.parse(text(env)), args: JSON.parse(text(args)), cwd: text(cwd) };
}

async function closeIfLoaded(load: Promise<AsyncDisposable>): Promise<void> {
  const kv = await load.catch(() => undefined);
  await kv?.[Symbol.asyncDispose]();
}

/** Sets variables of this process while `body` runs. */
async function withEnv(
  variables: Readonly<Record<string, string>>,
  body: () => Promise<void>,
): Promise<void> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    await body();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

describe("args", () => {
  test("are the program's arguments, as they are", async () => {
    const args = ["--flag", "two words", "", "ünïcode", "$HOME", "-e", "--inspect"];
    expect((await aboutWith({ args })).args).toEqual(args);
    expect((await aboutWith({ args }, await compile(about))).args).toEqual(args);
  });

  test("are none unless they are given", async () => {
    expect((await aboutWith({})).args).toEqual([]);
  });
});

describe("cwd", () => {
  test("is the program's working directory", async () => {
    const cwd = realpathSync(temporaryFolder());
    expect((await aboutWith({ cwd })).cwd).toBe(cwd);
  });

  test("is the host's unless it is given", async () => {
    expect((await aboutWith({})).cwd).toBe(process.cwd());
  });

  test("has no say in where a relative path leads", async () => {
    const path = relative(process.cwd(), about);
    const cwd = realpathSync(temporaryFolder());
    expect((await aboutWith({ cwd }, path)).cwd).toBe(cwd);
  });

  test("with a .env file in it does not change the environment", async () => {
    const cwd = temporaryFolder();
    await Bun.write(join(cwd, ".env"), "FROM_DOT_ENV=1\n");
    expect((await aboutWith({ cwd })).env).not.toHaveProperty("FROM_DOT_ENV");
  });
});

describe("env", () => {
  const listed = {
    HOME: "/home/somebody",
    LANG: "en_GB.UTF-8",
    LC_TIME: "de_DE.UTF-8",
    LOGNAME: "somebody",
    NO_COLOR: "1",
    PATH: process.env["PATH"] ?? "",
    PLUG_NO_FFI: process.env["PLUG_NO_FFI"] ?? "0",
    PLUG_TRACE: "0",
    SHELL: "/bin/sh",
    TERM: "dumb",
    TMPDIR: "/tmp",
    TZ: "Europe/Vienna",
    USER: "somebody",
  };
  test("starts from the documented list of the host's variables and no others", () =>
    withEnv({ ...listed, A_SECRET: "secret", BUN_OPTIONS: "--silent" }, async () => {
      const { env } = await aboutWith({});
      expect(env).toEqual(listed);
    }));

  test("starts from the same list for a compiled plugin", () =>
    withEnv({ ...listed, A_SECRET: "secret", BUN_OPTIONS: "--silent" }, async () => {
      const { env } = await aboutWith({}, await compile(about));
      expect(env).toEqual(listed);
    }));

  test("is set on top of the list, and undefined takes a variable out", () =>
    withEnv(listed, async () => {
      const { env } = await aboutWith({ env: { OWN: "ä b=c", HOME: "/elsewhere", TZ: undefined } });
      expect(env).toMatchObject({ OWN: "ä b=c", HOME: "/elsewhere" });
      expect(env).not.toHaveProperty("TZ");
    }));

  test("is everything the host has with inheritEnv, but for what steers the host's own Bun", () =>
    withEnv({ A_SECRET: "secret", BUN_OPTIONS: "--silent" }, async () => {
      const { env } = await aboutWith({ inheritEnv: true, env: { OWN: "1" } });
      expect(env).toMatchObject({ A_SECRET: "secret", OWN: "1" });
      expect(env).not.toHaveProperty("BUN_OPTIONS");
      expect(env).not.toHaveProperty("BUN_BE_BUN");
    }));

  // What the plugin starts is not told to be plain Bun, or to end with its parent.
  test("has nothing of the runtime's own any more once the plugin runs", async () => {
    const { env } = await aboutWith({});
    expect(env).not.toHaveProperty("BUN_BE_BUN");
    expect(env).not.toHaveProperty("BUN_FEATURE_FLAG_NO_ORPHANS");
  });
});

describe("signal", () => {
  test("that has aborted already starts nothing, and rejects with cancelled", () =>
    inEveryVariant(async (variant, own) => {
      const error = await rejection(
        loadKV(about, { ...variant, signal: AbortSignal.abort("why") }),
      );
      expect(error.code).toBe("cancelled");
      expect(error.cause).toBe("why");
      expect(own.started()).toEqual([]);
    }));

  test("gives up a load that waits, rejects with cancelled, and kills the program", () =>
    inEveryVariant(async (variant, own) => {
      const controller = new AbortController();
      const load = rejection(loadKV(silent, { ...variant, signal: controller.signal }));
      await Bun.sleep(100);
      controller.abort("why");
      const tookMs = await spanOf(load);
      const error = await load;
      expect(error.code).toBe("cancelled");
      expect(error.cause).toBe("why");
      expect(tookMs).toBeLessThan(1_000);
      expect(own.running()).toEqual([]);
    }));

  test("has no effect once the plugin is loaded", () =>
    inEveryVariant(async (variant) => {
      const controller = new AbortController();
      await using kv = await loadKV(about, { ...variant, signal: controller.signal });
      controller.abort();
      expect(text(await kv.get("echo hello"))).toBe("hello");
    }));

  // The load and the abort race each other; whoever wins, nothing may be left.
  test("may abort at any moment of a load", () =>
    leavingNothing(async () => {
      const own = trace();
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const signal = AbortSignal.timeout(1 + i * 10);
          const load = loadKV(about, { env: own.env, signal });
          const kv = await load.catch(() => undefined);
          await kv?.[Symbol.asyncDispose]();
          return kv === undefined ? (await rejection(load)).code : "loaded";
        }),
      );
      expect(new Set([...outcomes, "cancelled", "loaded"]).size).toBe(2);
      await nothingRuns(own);
    }));
});

describe("startTimeoutMs", () => {
  test("is how long a program may take to answer, after which it is killed", () =>
    inEveryVariant(async (variant, own) => {
      const startedAt = performance.now();
      const error = await rejection(loadKV(silent, { ...variant, startTimeoutMs: 200 }));
      const tookMs = performance.now() - startedAt;
      expect(error.code).toBe("not_a_plugin");
      expect(error.message).toContain("within startTimeoutMs 200");
      expect(tookMs).toBeGreaterThanOrEqual(195);
      expect(tookMs).toBeLessThan(1_500);
      expect(own.running()).toEqual([]);
    }));
});

describe("logger", () => {
  test("gets each line of stdout and stderr with the stream and the plugin's name", async () => {
    const { lines, logger } = keptLines();
    const kv = await loadKV(fixture("printing"), { logger, transport: "socket" });
    await kv.get("print now");
    await kv[Symbol.asyncDispose]();
    const plugin = "printing";
    expect(lines).toContainEqual({ plugin, stream: "stdout", text: "console.log now" });
    expect(lines).toContainEqual({ plugin, stream: "stderr", text: "console.error now" });
  });

  test("gets a last line that has no end", () =>
    inEveryVariant(async (variant) => {
      const { logger, texts } = keptLines();
      const kv = await loadKV(fixture("printing"), {
        ...variant,
        logger,
        env: { ...variant.env, PRINTS_BY_CHILD: "0" },
      });
      await kv.get("unterminated last words");
      await kv[Symbol.asyncDispose]();
      expect(texts().some((line) => line.includes("last words"))).toBe(true);
    }));
});

describe("an option with a wrong value rejects with invalid_argument, which names it", () => {
  const wrong: readonly (readonly [keyof LoadOptions, unknown, string])[] = [
    ["startTimeoutMs", 0, "from 1 to 2^31 - 1, got 0"],
    ["startTimeoutMs", 2 ** 31, "got 2147483648"],
    ["startTimeoutMs", Number.NaN, "got NaN"],
    ["startTimeoutMs", "5", "got 5"],
    ["drainTimeoutMs", -1, "from 0 to 2^31 - 1, got -1"],
    ["stopTimeoutMs", Infinity, "got Infinity"],
    ["maxMessageBytes", 1023, "from 1024 to 1073741824, got 1023"],
    ["maxMessageBytes", 2048.5, "got 2048.5"],
    ["maxInFlightCalls", 0, "from 1 to 524288, got 0"],
    ["maxInFlightStreams", 0, "from 1 to 262144, got 0"],
    ["maxNestedCalls", 262_145, "from 1 to 262144, got 262145"],
    ["maxMetadataBytes", 16_385, "from 0 to 16384, got 16385"],
    ["maxReferences", -1, "from 0 to 1048576, got -1"],
    ["exposeStack", "yes", "true or false, got yes"],
    ["transport", "tcp", `"ring", "socket" or "stdio", got "tcp"`],
  ];
  for (const [name, value, says] of wrong) {
    test(`${name}: ${String(value)}`, async () => {
      const own = trace();
      const error = await rejection(loadKV(about, { env: own.env, [name]: value }));
      expect(error.code).toBe("invalid_argument");
      expect(error.message).toContain(name);
      expect(error.message).toContain(says);
      expect(own.started()).toEqual([]);
    });
  }

  // From JavaScript, or from a configuration file.
  const wrongTypes: readonly (readonly [keyof LoadOptions, unknown])[] = [
    ["args", "--flag"],
    ["cwd", 1],
    ["env", "A=1"],
    ["logger", "console"],
    ["signal", {}],
    ["interceptors", {}],
    ["interceptors", ["log"]],
    ["versions", "1"],
    ["offer", {}],
    ["offer", [["example.KV"]]],
  ];
  for (const [name, value] of wrongTypes) {
    test(`${name}: ${JSON.stringify(value)}`, () =>
      leavingNothing(async () => {
        const load = loadKV(about, { [name]: value } as LoadOptions);
        const error = await rejection(load).finally(() => closeIfLoaded(load));
        expect(error.code).toBe("invalid_argument");
        expect(error.message).toContain(name);
      }));
  }
});

describe("a path", () => {
  const echoes = async (path: string | URL): Promise<string> => {
    await using kv = await loadKV(path);
    expect(text(await kv.get("echo hello"))).toBe("hello");
    return pluginOf(kv).name;
  };

  test("may be relative to the host's working directory, absolute, or a file URL", async () => {
    const url = pathToFileURL(about);
    const program = await compile(about);
    for (const path of [relative(process.cwd(), about), about, url, url.href]) {
      expect(await echoes(path)).toBe("about");
    }
    const here = relative(process.cwd(), program);
    for (const path of [here, program, pathToFileURL(program)]) {
      expect(await echoes(path)).toBe(basename(program));
    }
  });

  test("may have spaces and any letters in it", async () => {
    const folder = join(temporaryFolder(), "my plügins ✓ 100%");
    mkdirSync(folder);
    const program = join(folder, "the 键 value #1?");
    copyFileSync(await compile(about), program);
    expect(await echoes(program)).toBe("the 键 value #1?");
    expect(await echoes(pathToFileURL(program))).toBe("the 键 value #1?");
    expect(await echoes(pathToFileURL(program).href)).toBe("the 键 value #1?");
  });

  test("of a script may have spaces and any letters in it", async () => {
    const folder = join(temporaryFolder(), "my plügins ✓ 100%");
    mkdirSync(folder);
    const built = await Bun.build({ entrypoints: [about], target: "bun" });
    const script = join(folder, "the 键 value #1.js");
    await Bun.write(script, built.outputs[0] as Blob);
    expect(await echoes(script)).toBe("the 键 value #1");
    expect(await echoes(pathToFileURL(script))).toBe("the 键 value #1");
  });

  test("may be a symbolic link", async () => {
    const link = join(temporaryFolder(), "link");
    symlinkSync(await compile(about), link);
    expect(await echoes(link)).toBe("link");
  });

  test("is never looked up in PATH", async () => {
    const program = await compile(about);
    await withEnv({ PATH: `${dirname(program)}:${process.env["PATH"]}` }, async () => {
      for (const name of [basename(program), "true", "cat"]) {
        const error = await rejection(loadKV(name));
        expect(error.code).toBe("start_failed");
        expect(error.message).toContain("there is no such file");
      }
    });
  });

  test("that is no path of a file rejects with invalid_argument", async () => {
    const paths: readonly unknown[] = [
      "",
      "a\0b",
      "file://other.host/kv",
      "file:///a%2Fb",
      new URL("https://example.com/kv"),
      undefined,
      null,
      7,
      {},
    ];
    for (const path of paths) {
      expect((await rejection(loadKV(path as string))).code).toBe("invalid_argument");
    }
  });

  test("may not be a link that leads nowhere", async () => {
    const folder = temporaryFolder();
    const link = join(folder, "link");
    symlinkSync(join(folder, "gone"), link);
    expect((await rejection(loadKV(link))).message).toContain("there is no such file");
  });
});
