// Plugins that no host of ours has started: by hand, or by a host that speaks in bytes.

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { compile, temporaryFolder } from "../support/compiled.ts";
import { helloOf, offer, protobuf, wire1FrameIn, wire2Frame } from "../support/handshake.ts";
import { fixture } from "../support/plugins.ts";
import { eventually } from "../support/processes.ts";
import { runScript, type Script, type ScriptOptions } from "../support/scripts.ts";

const about = fixture("about");

/** Starts the plugin as a script and as an executable, with bun:ffi and without. */
async function inEveryForm(
  options: () => ScriptOptions,
  body: (plugin: Script) => Promise<void>,
): Promise<void> {
  const program = await compile(about);
  for (const PLUG_NO_FFI of ["0", "1"]) {
    for (const command of [[process.execPath, about], [program]]) {
      await using plugin = runScript(about, { ...options(), command, env: { PLUG_NO_FFI } });
      await body(plugin);
    }
  }
}

async function refuses(options: () => ScriptOptions, says: string): Promise<void> {
  await inEveryForm(options, async (plugin) => {
    expect(await plugin.ends()).toBe(1);
    expect(plugin.stderr).toContain(says);
    expect(plugin.stdout.toString()).toBe("");
  });
}

const byHost = "a host starts it, with load… of bun-plug";

describe("a plugin that is started by hand says that a host starts it, and exits with 1", () => {
  test("if its stdin is a device or a terminal", () =>
    refuses(() => ({ stdin: Bun.file("/dev/null") }), `a terminal or device: ${byHost}`));

  test("if its stdin is a file", async () => {
    const path = join(temporaryFolder(), "input");
    writeFileSync(path, "hello");
    await refuses(() => ({ stdin: Bun.file(path) }), `a file: ${byHost}`);
  });

  test("if its stdin is a file and its stdout is one too", async () => {
    const path = join(temporaryFolder(), "input");
    writeFileSync(path, "hello");
    const streams = () => ({ stdin: Bun.file(path), stdout: Bun.file(`${path}.out`) });
    await refuses(streams, `a file: ${byHost}`);
    expect(await Bun.file(`${path}.out`).text()).toBe("");
  });

  test("if its stdin is closed", async () => {
    const program = await compile(about);
    for (const command of [`"${process.execPath}" "${about}"`, `"${program}"`]) {
      await using plugin = runScript(about, { command: ["/bin/sh", "-c", `exec ${command} <&-`] });
      expect(await plugin.ends()).toBe(1);
      expect(plugin.stderr).toContain(byHost);
    }
  });
});

describe("a plugin whose stdin is a pipe exits with 1", () => {
  const pipe = (): ScriptOptions => ({ stdin: "pipe" });

  test("if that is closed before anything was said", () =>
    inEveryForm(pipe, async (plugin) => {
      plugin.stdin?.end();
      expect(await plugin.ends()).toBe(1);
      expect(plugin.stderr).toContain("stdin was closed before a host had said anything");
    }));

  test("if what comes is not the handshake of a host", () =>
    inEveryForm(pipe, async (plugin) => {
      plugin.stdin?.write("hello\n");
      plugin.stdin?.flush();
      expect(await plugin.ends()).toBe(1);
      expect(plugin.stderr).toContain("not the handshake of a host; a plugin is started by load…");
    }));

  test("if that is closed in the middle of the handshake", () =>
    inEveryForm(pipe, async (plugin) => {
      plugin.stdin?.write(offer(helloOf("example.KV")).subarray(0, 20));
      plugin.stdin?.flush();
      await Bun.sleep(50);
      plugin.stdin?.end();
      expect(await plugin.ends()).toBe(1);
      expect(plugin.stderr).toContain("stdin was closed");
    }));

  test("if the host wants a service that it does not have, after it has said so", () =>
    inEveryForm(pipe, async (plugin) => {
      plugin.stdin?.write(offer(helloOf("example.Other")));
      plugin.stdin?.flush();
      expect(await plugin.ends()).toBe(1);
      const says = "the host asked for example.Other; the plugin serves example.KV";
      expect(wire1FrameIn(plugin.stdout)?.payload.toString()).toContain(says);
      expect(plugin.stderr).toContain(says);
    }));
});

describe("a plugin that is spoken to in bytes over socketpairs", () => {
  const echo = protobuf([[1, "echo hello"]]);
  const request = wire2Frame(1, 0, 0, 1, echo);
  const response = wire2Frame(2, 2, 0, 1, protobuf([[1, "hello"]]));
  const whole = Buffer.concat([offer(helloOf("example.KV")), request]);

  async function answers(write: (plugin: Script) => Promise<void>): Promise<void> {
    await inEveryForm(
      () => ({ stdin: "pipe" }),
      async (plugin) => {
        await write(plugin);
        await eventually("an answer", () => {
          const frame = wire1FrameIn(plugin.stdout);
          return frame !== undefined && frame.rest.byteLength >= response.byteLength;
        });
        const frame = wire1FrameIn(plugin.stdout);
        expect(frame?.id).toBe(0x00ff);
        expect(frame?.payload.toString()).toContain("example.KV");
        expect(frame?.rest.toString("hex")).toBe(response.toString("hex"));
        plugin.stdin?.end();
        expect(await plugin.ends()).toBe(0);
        expect(plugin.stderr).toBe("");
      },
    );
  }

  test("answers the handshake and a call", () =>
    answers(async (plugin) => {
      plugin.stdin?.write(offer(helloOf("example.KV")));
      plugin.stdin?.flush();
      await eventually("an answer", () => wire1FrameIn(plugin.stdout) !== undefined);
      plugin.stdin?.write(request);
      plugin.stdin?.flush();
    }));

  test("answers the handshake and a call that come in one write", () =>
    answers(async (plugin) => {
      plugin.stdin?.write(whole);
      plugin.stdin?.flush();
    }));

  test("answers the handshake and a call that come byte by byte", () =>
    answers(async (plugin) => {
      for (const byte of whole) {
        plugin.stdin?.write(Buffer.of(byte));
        await plugin.stdin?.flush();
      }
    }));

  test("ends with the host's last word, once the calls that came are answered", () =>
    inEveryForm(
      () => ({ stdin: "pipe" }),
      async (plugin) => {
        plugin.stdin?.write(whole);
        plugin.stdin?.end();
        expect(await plugin.ends()).toBe(0);
        expect(wire1FrameIn(plugin.stdout)?.rest.toString("hex")).toBe(response.toString("hex"));
      },
    ));

  test("stays on stdin and stdout, which are always there, if it knows no other transport", () =>
    inEveryForm(
      () => ({ stdin: "pipe" }),
      async (plugin) => {
        const offers = offer(helloOf("example.KV", [[1, "telepathy"]]));
        plugin.stdin?.write(Buffer.concat([offers, request]));
        plugin.stdin?.end();
        expect(await plugin.ends()).toBe(0);
        const frame = wire1FrameIn(plugin.stdout);
        expect(frame?.payload.toString()).toContain("stdio");
        expect(frame?.rest.toString("hex")).toBe(response.toString("hex"));
      },
    ));

  test("stays on stdin and stdout if the socket that it is offered is not there", () =>
    inEveryForm(
      () => ({ stdin: "pipe" }),
      async (plugin) => {
        const socket = [
          [1, "socket"],
          [2, 99],
        ] as const;
        plugin.stdin?.write(Buffer.concat([offer(helloOf("example.KV", socket)), request]));
        plugin.stdin?.end();
        expect(await plugin.ends()).toBe(0);
        const frame = wire1FrameIn(plugin.stdout);
        expect(frame?.payload.toString()).toContain("stdio");
        expect(frame?.rest.toString("hex")).toBe(response.toString("hex"));
      },
    ));
});
