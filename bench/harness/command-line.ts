// What the commands have in common: `--help`, and one line for what is wrong with an option.

import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

import { readResults, type Results } from "./results.ts";

/** The user asked for what there is not; the message is a line for him. */
export class UsageError extends Error {}

export interface Command<Options extends ParseArgsOptionsConfig> {
  /** As it is typed. */
  readonly name: string;
  /** The whole help, the line of usage first. */
  readonly help: string;
  readonly options: Options;
  /** How many arguments there may be beside options. @defaultValue 0 */
  readonly positionals?: number;
}

function parsed<const Options extends ParseArgsOptionsConfig>(
  { options, positionals: most = 0 }: Command<Options>,
  args: string[],
) {
  // A first look for --help, whatever is wrong with the rest.
  if (args.includes("--help") || args.includes("-h")) return "help";
  try {
    const got = parseArgs({ args, options, allowPositionals: true });
    const extra = got.positionals[most];
    if (extra !== undefined) throw new UsageError(`does not know what to do with "${extra}"`);
    return got;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const [words = ""] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(words.charAt(0).toLowerCase() + words.slice(1));
  }
}

/** Runs a command with the arguments of this process; errors of usage end it with code 2. */
export async function runCommand<const Options extends ParseArgsOptionsConfig>(
  command: Command<Options>,
  body: (
    values: Exclude<ReturnType<typeof parsed<Options>>, "help">["values"],
    positionals: readonly string[],
  ) => Promise<void>,
): Promise<void> {
  try {
    const args = parsed(command, process.argv.slice(2));
    if (args === "help") console.log(command.help);
    else await body(args.values, args.positionals);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${command.name}: ${error.message} (--help says what there is)`);
    process.exit(2);
  }
}

/** @throws {UsageError} It is no number above 0. */
export function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new UsageError(`--${name} must be a number above 0, and not "${text}"`);
}

/** @throws {UsageError} It is no whole number above 0. */
export function countOf(name: string, text: string): number {
  const value = numberOf(name, text);
  if (Number.isInteger(value)) return value;
  throw new UsageError(`--${name} must be a whole number, and not "${text}"`);
}

/** @throws {UsageError} It is no regular expression. */
export function regexOf(name: string, text: string): RegExp {
  try {
    return new RegExp(text, "i");
  } catch (error) {
    throw new UsageError(`--${name}: ${(error as Error).message}`);
  }
}

/** @throws {UsageError} There is no such file, or it is no results file. */
export async function resultsOf(path: string): Promise<Results> {
  if (!(await Bun.file(path).exists())) throw new UsageError(`there is no file ${path}`);
  try {
    return await readResults(path);
  } catch (error) {
    throw new UsageError(`${path} is no results file: ${(error as Error).message}`);
  }
}
