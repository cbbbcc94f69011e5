// Which messages a file prints functions for, and what those are called.

import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { GeneratedFile } from "@bufbuild/protoplugin";

import type { NameScope } from "../names.ts";
import { hasPrototype, isGivenAsMessage } from "./values.ts";

/** The functions of one message. */
export interface MessageFunctions {
  readonly create: string;
  readonly from: string;
  /** Not a function, but what holds the defaults of fields that are unset. */
  readonly prototype: string;
  readonly size: string;
  readonly write: string;
  readonly read: string;
}

/** What is printed about messages: all of them, and where to find more. */
export interface CodecPrint {
  readonly f: GeneratedFile;
  /** Where the functions that all messages share come from. */
  readonly runtime: string;
  readonly functions: ReadonlyMap<DescMessage, MessageFunctions>;
  /** Those that users pass, also within others. */
  readonly given: ReadonlySet<DescMessage>;
  /** Those that are a group somewhere. */
  readonly groups: ReadonlySet<DescMessage>;
}

export function codecPrint(
  f: GeneratedFile,
  runtime: string,
  roots: readonly DescMessage[],
  scope: NameScope,
): CodecPrint {
  const messages = reachable(roots);
  const functions = new Map<DescMessage, MessageFunctions>();
  for (const message of messages) {
    const prefix = uniquePrefix(f.importShape(message).name, scope);
    functions.set(message, {
      create: `${prefix}$new`,
      from: `${prefix}$from`,
      prototype: `${prefix}$prototype`,
      size: `${prefix}$size`,
      write: `${prefix}$write`,
      read: `${prefix}$read`,
    });
  }
  const fields = messages.flatMap((message) => message.fields);
  const groups = fields.flatMap((field) => (isGroup(field) ? [field.message as DescMessage] : []));
  // What is in a message with a prototype is made with it.
  const given = new Set(
    reachable(
      roots,
      (field) => isGivenAsMessage(field) && !hasPrototype(field.parent as DescMessage),
    ),
  );
  return { f, runtime, functions, given, groups: new Set(groups) };
}

// Two messages of one name come from two files. The names of one message go together.
function uniquePrefix(name: string, scope: NameScope): string {
  const size = scope.take(`${name}$size`);
  const prefix = name + "$".repeat(size.length - `${name}$size`.length);
  for (const suffix of ["new", "from", "prototype", "write", "read"])
    scope.take(`${prefix}$${suffix}`);
  return prefix;
}

/** The messages and all that are in them, each once, in the order in which they are met. */
function reachable(
  roots: readonly DescMessage[],
  through: (field: DescField) => boolean = () => true,
): DescMessage[] {
  const found = new Set(roots);
  // A set that grows while it is gone through.
  for (const message of found) {
    for (const field of message.fields) {
      if (field.message !== undefined && through(field)) found.add(field.message);
    }
  }
  return [...found];
}

/** A message that ends with a tag, instead of a length before it. */
export function isGroup(field: DescField): boolean {
  const mayBe = field.fieldKind === "message" || field.fieldKind === "list";
  return mayBe && field.message !== undefined && field.delimitedEncoding;
}

/** The fields in the order in which they are written. */
export function byNumber(message: DescMessage): DescField[] {
  return [...message.fields].sort((a, b) => a.number - b.number);
}

/** Whether sizes of fields have to be kept from `size` to `write`. */
export function keepsSizes(message: DescMessage, seen = new Set<DescMessage>()): boolean {
  if (seen.has(message)) return false;
  seen.add(message);
  return message.fields.some((field) => {
    if (field.fieldKind === "map" || (field.fieldKind === "list" && field.packed)) return true;
    if (field.message === undefined) return false;
    // A group has no length, and what is in it may have.
    return !isGroup(field) || keepsSizes(field.message, seen);
  });
}
