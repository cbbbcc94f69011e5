// The package as its users get it: packed, added to an empty folder, generated with, checked,
// compiled, loaded, called.
//
//   bun test/consumer/run.ts
//
// Needs the package registry. protoc is taken from PATH, from PyPI or from the system's packages;
// where none can be had that step is skipped, and under CI=true that is a failure.

import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const root = join(import.meta.dir, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "bun-plug-consumer-"));
const bun = process.execPath;
const isCi = process.env["CI"] === "true";
let stepCount = 0;

process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
console.log(`consumer: ${stepCount} steps passed`);

async function main(): Promise<void> {
  const tarball = await step("npm pack", async () => {
    await run(["npm", "pack", "--pack-destination", folder], root);
    const [name] = readdirSync(folder).filter((file) => file.endsWith(".tgz"));
    return join(folder, name as string);
  });

  cpSync(join(import.meta.dir, "project"), folder, { recursive: true });
  await step("bun add the tarball: @bufbuild/protobuf and nothing else comes along", async () => {
    await run([bun, "add", tarball]);
    const packages = readdirSync(join(folder, "node_modules")).filter((name) => name[0] !== ".");
    expectEqual(packages.sort(), ["@bufbuild", "bun-plug"]);
    expectEqual(readdirSync(join(folder, "node_modules", "@bufbuild")), ["protobuf"]);
  });
  await step("bun add --dev what a consumer develops with", async () => {
    const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>;
    };
    const tools = ["@bufbuild/buf", "@bufbuild/protoc-gen-es", "bun", "bun-types", "typescript"];
    // Trusted by name, because a package's own install script is run only where that is said.
    await run([bun, "add", "--dev", "--trust", ...tools.map((n) => `${n}@${devDependencies[n]}`)]);
  });
  await step("protoc-gen-plug --version", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      version: string;
    };
    const printed = await run([join("node_modules", ".bin", "protoc-gen-plug"), "--version"]);
    if (!printed.includes(version)) throw new Error(`it printed ${printed}`);
  });

  await step("buf generate", () => run([join("node_modules", ".bin", "buf"), "generate"]));
  const byBuf = generatedFiles();
  await stepWithProtoc("protoc gives the same files as buf", async (protoc) => {
    rmSync(join(folder, "gen"), { recursive: true });
    await run(["mkdir", "gen"]);
    await run([
      ...protoc,
      "-Iproto",
      "-Inode_modules/bun-plug/codegen/proto",
      "--plugin=node_modules/.bin/protoc-gen-es",
      "--es_out=gen",
      "--es_opt=target=ts,import_extension=ts,rewrite_imports=./plug_pb.js:bun-plug",
      "--plugin=node_modules/.bin/protoc-gen-plug",
      "--plug_out=gen",
      "--plug_opt=import_extension=ts",
      "proto/words.proto",
    ]);
    expectEqual(generatedFiles(), byBuf);
  });

  await step("bun check", () => run([bun, "check"]));
  await step("tsc, module nodenext", () => run([join("node_modules", ".bin", "tsc"), "--noEmit"]));
  await step("bun test, with testWords and no process", () => run([bun, "test"]));

  const flags = [
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--bytecode",
    "--format=esm",
  ];
  await step("bun build --compile plugin and host", async () => {
    await run([bun, "build", "--compile", ...flags, "plugin.ts", "--outfile", "words-plugin"]);
    await run([bun, "build", "--compile", ...flags, "host.ts", "--outfile", "words-host"]);
  });
  const expected = "3 words; least common: [not_found] no word under 7\n";
  for (const plugin of ["./words-plugin", "./plugin.ts"]) {
    await step(`the compiled host loads ${plugin}, with no Bun on its PATH`, async () => {
      expectEqual(await run(["./words-host", plugin], folder, { PATH: "/usr/bin:/bin" }), expected);
    });
    await step(`host.ts loads ${plugin}`, async () => {
      expectEqual(await run([bun, "host.ts", plugin]), expected);
    });
  }
  await step("node says that this package is for Bun", async () => {
    const node = Bun.which("node");
    if (node === null) throw new Error("there is no node on PATH");
    const { stderr, exitCode } = await start([node, "-e", "import('bun-plug')"], folder, {});
    if (exitCode === 0 || !stderr.includes("needs Bun")) throw new Error(`it said ${stderr}`);
  });
}

async function step<T>(title: string, action: () => Promise<T>): Promise<T> {
  try {
    const result = await action();
    stepCount += 1;
    console.log(`ok    ${title}`);
    return result;
  } catch (error) {
    throw new Error(`FAIL  ${title}\n${error instanceof Error ? error.message : String(error)}`);
  }
}

async function stepWithProtoc(
  title: string,
  action: (protoc: readonly string[]) => Promise<void>,
): Promise<void> {
  const protoc = await findProtoc();
  if (protoc !== undefined) {
    await step(title, () => action(protoc));
  } else if (isCi) {
    throw new Error(`FAIL  ${title}: there is no protoc, and none could be installed`);
  } else {
    console.log(`skip  ${title}: install protoc, or python3 with venv`);
  }
}

async function findProtoc(): Promise<readonly string[] | undefined> {
  if (Bun.which("protoc") !== null) return ["protoc"];
  const venv = join(folder, ".venv");
  const python = join(venv, "bin", "python");
  const attempts: readonly (() => Promise<readonly string[]>)[] = [
    async () => {
      await run(["python3", "-m", "venv", venv]);
      await run([python, "-m", "pip", "install", "--quiet", "grpcio-tools"]);
      return [python, "-m", "grpc_tools.protoc"];
    },
    async () => {
      if (!isCi) throw new Error("a developer's machine is not installed on");
      await run(["apt-get", "update"]);
      await run(["apt-get", "install", "--yes", "protobuf-compiler"]);
      return ["protoc"];
    },
  ];
  for (const attempt of attempts) {
    const protoc = await attempt().catch(() => undefined);
    if (protoc !== undefined) return protoc;
  }
  return undefined;
}

function generatedFiles(): Record<string, string> {
  const gen = join(folder, "gen");
  if (!existsSync(gen)) throw new Error("nothing was generated");
  const files = readdirSync(gen).sort();
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(gen, file), "utf8")]));
}

function expectEqual(actual: unknown, expected: unknown): void {
  if (Bun.deepEquals(actual, expected)) return;
  throw new Error(`expected ${Bun.inspect(expected)}\ngot ${Bun.inspect(actual)}`);
}

async function run(
  command: readonly string[],
  cwd = folder,
  env: Record<string, string> = {},
): Promise<string> {
  const { stdout, stderr, exitCode } = await start(command, cwd, env);
  if (exitCode === 0) return stdout;
  throw new Error(`${command.join(" ")} exited with code ${exitCode}\n${stdout}${stderr}`);
}

async function start(
  command: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<{ stdout: string; stderr: string; exitCode: number }> {
  // So that shebangs find the Bun that runs this, wherever it is.
  const path = [join(folder, "node_modules", ".bin"), join(bun, ".."), process.env["PATH"]];
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, PATH: path.join(delimiter), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode };
}
