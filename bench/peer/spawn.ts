// How peers without a loader of their own start their plugin.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A plugin that listens on a Unix socket. */
export interface Listening extends AsyncDisposable {
  readonly pid: number;
  readonly path: string;
}

/** Starts a plugin with the path of a socket as its first argument; resolves when it listens. */
export async function spawnListening(
  command: readonly string[],
  ...args: readonly string[]
): Promise<Listening> {
  const folder = mkdtempSync(join(tmpdir(), "bun-plug-bench-socket-"));
  const path = join(folder, "socket");
  const child = Bun.spawn([...command, path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.on("exit", removeFolder);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  if (value === undefined) throw new Error(`the plugin ended with code ${await child.exited}`);
  return {
    pid: child.pid,
    path,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
      removeFolder();
    },
  };
}

/** For the plugin: tells that it listens. */
export function sayListening(): void {
  console.log("listening");
}
