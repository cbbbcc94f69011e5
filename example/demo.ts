// The whole way of a plugin, each step one line: generate, compile, load, call, fail, crash, stop.
//
//   bun run demo

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { isPlugError, pluginOf } from "bun-plug";
import { loadKV } from "./gen/example_plug.ts";

const root = join(import.meta.dir, "..");
const folder = mkdtempSync(join(tmpdir(), "bun-plug-demo-"));
const callCount = 100_000;
const inFlight = 64;

try {
  await demo();
} finally {
  rmSync(folder, { recursive: true });
}

async function demo(): Promise<void> {
  await run("generate", "example/proto/example.proto → example/gen", [
    "codegen/gen.ts",
    "example/gen",
  ]);
  const path = join(folder, "kv");
  await run("compile", "example/kv/plugin.ts → one executable", [
    "build",
    "--compile",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--bytecode",
    "--format=esm",
    "example/kv/plugin.ts",
    "--outfile",
    path,
  ]);

  const startedAt = performance.now();
  await using kv = await loadKV(path, { logger: false });
  const { pid } = pluginOf(kv);
  say("load", `process ${pid} answered in ${(performance.now() - startedAt).toFixed(1)} ms`);

  await kv.put("colour", new TextEncoder().encode("green"));
  say("put, get", `colour = ${new TextDecoder().decode(await kv.get("colour"))}`);

  const callsAt = performance.now();
  await callManyTimes(() => kv.get("colour"));
  const seconds = (performance.now() - callsAt) / 1000;
  const rate = Math.round(callCount / seconds).toLocaleString("en");
  say("calls", `${callCount.toLocaleString("en")} calls, ${inFlight} at a time: ${rate} a second`);

  say("an error", await messageOf(kv.get("shape")));

  process.kill(pid as number, "SIGKILL");
  say("a crash", await messageOf(kv.get("colour")));

  await kv[Symbol.asyncDispose]();
  say("stop", "no process is left");
}

async function callManyTimes(call: () => Promise<unknown>): Promise<void> {
  let left = callCount;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
}

async function messageOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "there was none";
  } catch (error) {
    if (!isPlugError(error)) throw error;
    return error.message;
  }
}

async function run(step: string, what: string, args: readonly string[]): Promise<void> {
  const startedAt = performance.now();
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output, exitCode] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (exitCode !== 0) throw new Error(`${step}: exit code ${exitCode}\n${output}`);
  say(step, `${what} (${Math.round(performance.now() - startedAt)} ms)`);
}

function say(step: string, text: string): void {
  console.log(`${step.padEnd(10)}${text}`);
}
