// The examples do what the comments at their heads say.

import { expect, test } from "bun:test";
import { dirname, join } from "node:path";

import { goBinary, testGo } from "./support/go-peer.ts";
import { compile } from "./support/compiled.ts";
import { within } from "./support/within.ts";

const root = join(import.meta.dir, "..");

interface Example {
  /** The command's words. */
  readonly command: readonly string[];
  readonly prints: string;
}

/** What the comment at the head of a host says: its command, and below "Prints:" what it prints. */
async function headOf(path: string): Promise<Example> {
  const text = await Bun.file(join(root, path)).text();
  const found = /^\/\/\n\/\/ {3}(bun .+)\n\/\/\n\/\/ Prints:\n\/\/\n((?:\/\/ {3}.+\n)+)/m.exec(
    text,
  );
  if (found === null) throw new Error(`${path} does not say how to run it, or what it prints`);
  const [, command = "", prints = ""] = found;
  return { command: command.split(" "), prints: prints.replaceAll(/^\/\/ {3}/gm, "") };
}

function pathOf(name: string): string {
  return `example/${name}.ts`;
}

/** Runs `bun …` in the root of the repository. It must go well, and say nothing on stderr. */
async function stdoutOf([bun, ...args]: readonly string[]): Promise<string> {
  expect(bun).toBe("bun");
  await using child = Bun.spawn([process.execPath, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, code] = await within(
    10_000,
    Promise.all([child.stdout.text(), child.stderr.text(), child.exited]),
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout;
}

for (const host of ["kv/host", "kv/render", "serializer/host", "build/host"].map(pathOf)) {
  test(`${host} prints what it says`, async () => {
    const { command, prints } = await headOf(host);
    expect(command).toContain(host);
    expect(await stdoutOf(command)).toBe(prints);
  });

  test(`${host} prints the same with the compiled plugin`, async () => {
    const { command, prints } = await headOf(host);
    const plugin = await compile(join(root, dirname(host), "plugin.ts"));
    expect(await stdoutOf([...command, plugin])).toBe(prints);
  });
}

testGo("example/kv/render.ts prints the same with the Go original's plugin", async () => {
  const { command, prints } = await headOf("example/kv/render.ts");
  expect(await stdoutOf([...command, await goBinary("example/kv")])).toBe(prints);
});

testGo(
  "example/kv/host.ts prints the same with the Go original's plugin, but for the code",
  async () => {
    const { command, prints } = await headOf("example/kv/host.ts");
    const plugin = await goBinary("example/kv");
    // An error of the Go original is a text, without a code.
    expect(await stdoutOf([...command, plugin])).toBe(prints.replace("not_found", "unknown"));
  },
);

testGo("example/serializer/host.ts prints the same with a plugin in Go", async () => {
  const { command, prints } = await headOf("example/serializer/host.ts");
  expect(await stdoutOf([...command, await goBinary("serializerplugin")])).toBe(prints);
});
