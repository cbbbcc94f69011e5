// What travels beside a message: names and values, in request headers, response headers and
// trailers. Leaf.
//
// The rules are gRPC's, so that values can be handed on to it: names are lower case, and those that
// end in `-bin` have bytes for values.

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";

/** Text, or bytes where the name ends in `-bin`. */
export type MetadataValue = string | Uint8Array;

/** What metadata can be made of. A name with several values has a list of them. */
export type MetadataInit =
  | Metadata
  | Iterable<readonly [name: string, value: MetadataValue]>
  | Readonly<Record<string, MetadataValue | readonly MetadataValue[] | undefined>>;

const namePattern = /^[0-9a-z_.-]{1,256}$/;
// Printable ASCII would be gRPC's rule; text beyond it is fine here, but no line may break.
const badText = /[\0\r\n]/;

/**
 * Names and their values, in the order in which they were added. Names are not case-sensitive; a
 * name may have several values.
 *
 * Values are kept as they are given: bytes are not copied until they are sent.
 */
export class Metadata implements Iterable<[name: string, value: MetadataValue]> {
  readonly #values = new Map<string, MetadataValue[]>();

  /** @throws {PlugError} `invalid_argument`: a name or value that cannot travel. */
  constructor(init?: MetadataInit) {
    if (init === undefined) return;
    for (const [name, value] of pairsOf(init)) this.append(name, value);
  }

  /** Names that have a value. */
  get size(): number {
    return this.#values.size;
  }

  /** The first value of a name that does not end in `-bin`. */
  get(name: string): string | undefined {
    const value = this.#values.get(name.toLowerCase())?.[0];
    return typeof value === "string" ? value : undefined;
  }

  /** The first value of a name that ends in `-bin`. */
  getBytes(name: string): Uint8Array | undefined {
    const value = this.#values.get(name.toLowerCase())?.[0];
    return typeof value === "string" ? undefined : value;
  }

  getAll(name: string): readonly MetadataValue[] {
    return this.#values.get(name.toLowerCase()) ?? [];
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  /** Replaces what the name had. @throws {PlugError} `invalid_argument` */
  set(name: string, value: MetadataValue): this {
    const key = checkedName(name, value);
    this.#values.set(key, [value]);
    return this;
  }

  /** Adds a value to those that the name has. @throws {PlugError} `invalid_argument` */
  append(name: string, value: MetadataValue): this {
    const key = checkedName(name, value);
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [value]);
    else values.push(value);
    return this;
  }

  delete(name: string): boolean {
    return this.#values.delete(name.toLowerCase());
  }

  /** One pair for each value. */
  *[Symbol.iterator](): IterableIterator<[name: string, value: MetadataValue]> {
    for (const [name, values] of this.#values) for (const value of values) yield [name, value];
  }

  /** For logs and tests: a name with one value has it, with several a list. */
  toJSON(): Record<string, MetadataValue | MetadataValue[]> {
    return Object.fromEntries(
      [...this.#values].map(([name, values]) => [
        name,
        values.length === 1 ? (values[0] as MetadataValue) : values,
      ]),
    );
  }
}

function* pairsOf(init: MetadataInit): Iterable<readonly [string, MetadataValue]> {
  if (typeof init !== "object" || init === null) {
    throw new PlugError("invalid_argument", `headers must be an object, got ${textOf(init)}`);
  }
  if (Symbol.iterator in init) {
    for (const pair of init) {
      if (!Array.isArray(pair)) {
        throw new PlugError("invalid_argument", `headers must be pairs, got ${textOf(pair)}`);
      }
      yield pair as unknown as readonly [string, MetadataValue];
    }
    return;
  }
  for (const [name, value] of Object.entries(init)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const one of value) yield [name, one];
    else yield [name, value as MetadataValue];
  }
}

function checkedName(name: string, value: MetadataValue): string {
  const key = String(name).toLowerCase();
  if (!namePattern.test(key)) {
    throw new PlugError(
      "invalid_argument",
      `a header's name is 1 to 256 characters of a-z, 0-9, "-", "_" and ".", got ${JSON.stringify(name)}`,
    );
  }
  if (key.endsWith("-bin")) {
    if (!(value instanceof Uint8Array)) {
      throw new PlugError("invalid_argument", `header ${key} takes bytes, got ${typeof value}`);
    }
  } else if (typeof value !== "string" || badText.test(value) || !value.isWellFormed()) {
    throw new PlugError(
      "invalid_argument",
      `header ${key} takes text of one line${typeof value === "string" ? "" : `, got ${typeof value}`}; bytes need a name that ends in -bin`,
    );
  }
  return key;
}

// W3C trace context and baggage.
const traceNames = ["traceparent", "tracestate", "baggage"];

/** What a call that is made on behalf of another takes over of its headers, if there is any. */
export function traceOf(headers: Metadata): Metadata | undefined {
  const pairs = traceNames.flatMap((name) =>
    headers.getAll(name).map((value): [string, MetadataValue] => [name, value]),
  );
  return pairs.length === 0 ? undefined : new Metadata(pairs);
}
