// Every identifier of the output is decided here.
//
// Rule for whatever is taken or reserved: a `$` at the end, which no name in a .proto file can have.

import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import { type GeneratedFile, type ImportSymbol, safeIdentifier } from "@bufbuild/protoplugin";

/** Generated code imports the runtime from here, and from nowhere else. */
export const runtimePath = "bun-plug/codegen-v1";

/** What `codec=only` prints imports the runtime from here: codecs alone. */
export const codecPath = "bun-plug/codec";

/**
 * Globals that the output uses by name. No export and no import may be called so. `Uint8Array` is
 * missing because protobuf-es keeps its own names off it already.
 */
export const usedGlobals = [
  "AsyncDisposable",
  "AsyncIterable",
  "Disposable",
  "Promise",
  "Symbol",
  "URL",
] as const;

/**
 * A global, to be printed. An imported message that is called Promise must get another name in the
 * output: protoplugin renames imports that clash with a symbol of the file itself, so the globals
 * are passed off as such.
 */
export function globalSymbol(
  f: GeneratedFile,
  file: DescFile,
  name: (typeof usedGlobals)[number],
): ImportSymbol {
  return f.import(name, `./${file.name}_plug.js`, true);
}

export interface ServiceNames {
  /** The interface for callers, and the service table. */
  readonly service: string;
  readonly handler: string;
  readonly load: string;
  readonly loadSync: string;
  readonly run: string;
  readonly test: string;
  /** The class behind the interface; not exported. */
  readonly client: string;
  readonly methods: ReadonlyMap<DescMethod, MethodNames>;
}

export interface MethodNames {
  /** As callers and handlers write it. */
  readonly local: string;
  /** The entry of the service table; not exported. */
  readonly constant: string;
}

/** Gives out each name once; what comes later gets the `$`. */
export class NameScope {
  readonly #taken: Set<string>;

  constructor(taken: Iterable<string> = []) {
    this.#taken = new Set(taken);
  }

  take(wanted: string): string {
    let name = wanted;
    while (this.#taken.has(name)) name += "$";
    this.#taken.add(name);
    return name;
  }
}

/** Names of all services of a file. `scope` is the file's, and remembers them. */
export function serviceNames(file: DescFile, scope: NameScope): Map<DescService, ServiceNames> {
  // First all services, so that one called KVHandler keeps its name, whatever its neighbours need.
  const named = file.services.map((desc) => [desc, scope.take(safeIdentifier(desc.name))] as const);
  const withFunctions = named.map(
    ([desc, service]) =>
      [
        desc,
        {
          service,
          handler: scope.take(`${desc.name}Handler`),
          load: scope.take(`load${desc.name}`),
          run: scope.take(`run${desc.name}`),
          test: scope.take(`test${desc.name}`),
          client: scope.take(`${desc.name}$Client`),
          methods: methodNames(desc, scope),
        },
      ] as const,
  );
  // Last, so that a service called KVSync has its loadKVSync.
  return new Map(
    withFunctions.map(([desc, names]) => [
      desc,
      { ...names, loadSync: scope.take(`load${desc.name}Sync`) },
    ]),
  );
}

// What every object has. A handler without such a method would still seem to have one.
// And `then`: a client that has it could not be awaited, and every `await loadKV()` would call it.
const reservedMethods = [
  "__defineGetter__",
  "__defineSetter__",
  "__lookupGetter__",
  "__lookupSetter__",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "isPrototypeOf",
  "propertyIsEnumerable",
  "then",
  "toJSON",
  "toLocaleString",
  "toString",
  "valueOf",
];

function methodNames(service: DescService, scope: NameScope): Map<DescMethod, MethodNames> {
  const members = new NameScope(reservedMethods);
  return new Map(
    service.methods.map((method) => {
      const local = members.take(method.localName);
      return [method, { local, constant: scope.take(`${service.name}$${local}`) }];
    }),
  );
}

// Reserved in modules, or not to be hidden, besides what `safeIdentifier` knows.
const reservedArguments = ["arguments", "await", "eval", "undefined"];

/** What follows the arguments that come from the message, on either side. */
const lastArguments = ["options", "context"];

/**
 * A scope for the arguments of one method.
 *
 * `values` are the identifiers that the arguments' types mention by `typeof`: an argument of that
 * name would hide them.
 */
export function argumentScope(values: Iterable<string>): NameScope {
  return new NameScope([...reservedArguments, ...lastArguments, ...values]);
}

/** A field's or oneof's local name as an identifier; not yet unique. */
export function argumentName(localName: string): string {
  // The field `_1` is the property `1`.
  return safeIdentifier(/^[0-9]/.test(localName) ? `$${localName}` : localName);
}

/** The type name without its package, in camel case: `timestamp`, `fieldMask`. */
export function argumentNameOfMessage(name: string): string {
  return safeIdentifier(name.charAt(0).toLowerCase() + name.slice(1));
}

const identifier = /^[A-Za-z_$][\w$]*$/;

/** `request.key`. */
export function propertyOf(object: string, localName: string): string {
  return identifier.test(localName)
    ? `${object}.${localName}`
    : `${object}[${JSON.stringify(localName)}]`;
}

/** `key: value`, or `key` if both are the same. */
export function propertyIs(localName: string, value: string): string {
  if (localName === value) return value;
  return `${identifier.test(localName) ? localName : JSON.stringify(localName)}: ${value}`;
}

/** The name of a method in an interface, where a bare `new` would be a constructor. */
export function inInterface(localName: string): string {
  return localName === "new" ? '"new"' : localName;
}
