import { expect, test } from "bun:test";
import { join } from "node:path";

import { errorCodes } from "bun-plug";
import { defaultLimits } from "../src/call/limits.ts";
import { defaultSpans } from "../src/host/load-options.ts";
import { passedVariables } from "../src/process/plugin-environment.ts";

const root = join(import.meta.dir, "..");
const readme = await read("README.md");

function read(path: string): Promise<string> {
  return Bun.file(join(root, path)).text();
}

function blocks(language: string): string[] {
  return [...readme.matchAll(/```(\w+)\n([^`]*(?:`(?!``)[^`]*)*)```/g)]
    .filter(([, name]) => name === language)
    .map(([, , text = ""]) => text);
}

test("the plugin of the README is example/kv/plugin.ts", async () => {
  expect(blocks("ts")[0]).toBe(await read("example/kv/plugin.ts"));
});

test("the contract of the README is in example/proto/example.proto", async () => {
  const proto = (await read("example/proto/example.proto")).replaceAll(/\s+/g, " ");
  expect(proto).toContain((blocks("proto")[0] as string).replaceAll(/\s+/g, " ").trim());
});

test("each line of the README's host is a line that an example runs", async () => {
  const host = blocks("ts")[1] as string;
  expect(host).toContain("await kv.put(");
  const example = await read("example/kv/host.ts");
  for (const line of ['import { loadKV } from "../gen/example_plug.ts";', "await kv.put("]) {
    expect(host).toContain(line);
    expect(example).toContain(line);
  }
});

test("what the README shows of calling back is what example/build does", async () => {
  const example = (await read("example/build/plugin.ts")) + (await read("example/build/host.ts"));
  const lines = blocks("ts")
    .filter((block) => /Progress|logged/.test(block))
    .flatMap((block) => block.split("\n").map((line) => line.trim()))
    .filter((line) => line !== "");
  // What is shorter in the README than in the example.
  const shortened = lines.filter((line) => !example.includes(line));

  expect(lines.length).toBeGreaterThan(15);
  expect(shortened).toEqual([
    "await using builder = await loadBuilder(path, { offer: [[Files, project]] });",
    'await builder.build(["a.txt", "b.txt"], progress);',
    "await using builder = await loadBuilder(path, { interceptors: [logged] });",
  ]);
});

test("the table of error codes in the README is the one in src/error", () => {
  const rows = Object.entries(errorCodes).map(
    ([code, { retry, raisedBy, means }]) =>
      `| \`${code}\` | ${retry.replace("_", " ")} | ${raisedBy} | ${means} |`,
  );
  const table = section("errors")
    .split("\n")
    .map((line) => line.replaceAll(/ +\|/g, " |"));
  expect(table.filter((line) => line.startsWith("| `"))).toEqual(rows);
});

test("the defaults in the README are those of the code", () => {
  const { startTimeoutMs, drainTimeoutMs, stopTimeoutMs } = defaultSpans;
  for (const [name, value] of [
    ["startTimeoutMs", startTimeoutMs.toLocaleString("en")],
    ["drainTimeoutMs", drainTimeoutMs.toLocaleString("en")],
    ["stopTimeoutMs", stopTimeoutMs.toLocaleString("en")],
    ["maxMessageBytes", `${defaultLimits.maxMessageBytes / 1024 / 1024} MiB`],
    ["maxInFlightCalls", defaultLimits.maxInFlightCalls.toLocaleString("en")],
  ]) {
    expect(readme).toMatch(new RegExp(`\\| \`${name}\` +\\| ${value} +\\|`));
  }
});

test("the README lists the variables that a plugin gets", () => {
  const listed = readme.replaceAll("\\", "");
  for (const name of passedVariables) expect(listed).toContain(name);
});

test("each file that the README links to is there", async () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(
    ([, path]) => path as string,
  );
  expect(links).not.toBeEmpty();
  for (const path of links) expect(await Bun.file(join(root, path)).exists()).toBe(true);
});

function section(name: string): string {
  const [, text = ""] = readme.split(new RegExp(`<!-- /?${name} -->`));
  return text;
}
