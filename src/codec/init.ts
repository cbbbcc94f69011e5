// From what users pass for a message to the message, as `create` of protobuf-es does it.

/** Whether `value` is the message already, or nothing that one could be made of. */
export function isMade(value: unknown, typeName: string): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return true;
  return (value as { $typeName?: unknown }).$typeName === typeName;
}

/** The list of a field whose items are converted. */
export function listOf<T, I>(init: readonly I[] | undefined, convert: (item: I) => T): T[] {
  return Array.isArray(init) ? init.map((item: I) => convert(item)) : ((init ?? []) as never);
}

/** The map of a field whose values are converted. */
export function mapOf<T, I>(
  init: { readonly [key: string]: I } | undefined,
  convert: (value: I) => T,
): { [key: string]: T } {
  if (typeof init !== "object" || init === null || Array.isArray(init))
    return (init ?? {}) as never;
  return Object.fromEntries(Object.entries(init).map(([key, value]) => [key, convert(value)]));
}

/** `bytes` may be given as an array of numbers, and not at all. */
export function bytesOf(init: Uint8Array): Uint8Array {
  return Array.isArray(init) ? new Uint8Array(init as number[]) : init;
}
