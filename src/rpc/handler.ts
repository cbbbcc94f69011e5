// A service and what answers its calls.

import { PlugError } from "../error/plug-error.ts";
import type { Service } from "./service.ts";

export interface Served {
  readonly service: Service<object, object>;
  readonly handler: object;
  /** The one that was agreed on. @defaultValue that of the `.proto` */
  readonly version?: number | undefined;
}

/**
 * Checks that a handler has every method of its service.
 *
 * @throws {PlugError} `invalid_argument`: names what is missing.
 */
export function checkHandler({ service, handler }: Served): void {
  const missing = service.methods
    .filter(
      ({ localName }) =>
        typeof (handler as Record<string, unknown> | undefined)?.[localName] !== "function",
    )
    .map(({ localName }) => `${localName}()`);
  if (missing.length === 0) return;
  throw new PlugError(
    "invalid_argument",
    `the handler of ${service.typeName} lacks ${missing.join(", ")}`,
  );
}

/** A service with its handler. */
export type Pair<H extends object> = readonly [service: Service<object, H>, handler: H];

/**
 * Checks that services and their handlers can be served together.
 *
 * @throws {PlugError} `invalid_argument`: a handler lacks a method, a service is there twice, or
 *   there are more methods than ids for them.
 */
export function checkServed(served: readonly Served[]): void {
  for (const [i, pair] of served.entries()) {
    checkTable(pair.service);
    checkHandler(pair);
    const { typeName } = pair.service;
    if (served.findIndex(({ service }) => service.typeName === typeName) !== i) {
      throw new PlugError("invalid_argument", `${typeName} is served twice`);
    }
  }
  const methodCount = served.reduce((count, { service }) => count + service.methods.length, 0);
  if (methodCount <= maxMethodCount) return;
  throw new PlugError(
    "invalid_argument",
    `${served.length} services have ${methodCount} methods together, more than ${maxMethodCount}`,
  );
}

// Ids from there on are of objects: see frame/frame-header.ts.
const maxMethodCount = 0x8000;

/**
 * The messages' file has descriptors of the same names, and a service may stand where a map of them
 * should.
 *
 * @throws {PlugError} `invalid_argument`: it is no table that the generator has made.
 */
export function checkTable(service: Partial<Service<object, object>> | undefined): void {
  if (Array.isArray(service?.methods) && typeof service.client === "function") return;
  throw new PlugError(
    "invalid_argument",
    `${service?.typeName ?? "what was given"} is not a service table; pass what protoc-gen-plug has generated, as in loadPlugin(path, { kv: KV })`,
  );
}

/** What the handshake says of services that are served: versions that this side works with. */
export interface ServedTable {
  readonly name: string;
  readonly index: number;
  readonly magic: string;
  readonly version: number;
  readonly versions: readonly number[];
  readonly methods: readonly string[];
}

export function tableOf(
  { typeName, index, magic, version, methods }: Service<object, object>,
  versions: readonly number[],
): ServedTable {
  const names = methods.map(({ name }) => name);
  return { name: typeName, index, magic, version, versions, methods: names };
}
