// Whether two messages are the same in every respect that a program could see.

import type { Message } from "@bufbuild/protobuf";

type UnknownField = NonNullable<Message["$unknown"]>[number];

/** Where the two differ first, or undefined: prototypes, own properties and their order, values. */
export function difference(ours: unknown, theirs: unknown, path = "message"): string | undefined {
  if (Object.is(ours, theirs)) return undefined;
  if (typeof ours !== "object" || typeof theirs !== "object" || ours === null || theirs === null) {
    return `${path}: ${Bun.inspect(ours)} and ${Bun.inspect(theirs)}`;
  }
  if (Object.getPrototypeOf(ours) !== Object.getPrototypeOf(theirs)) return `${path}: prototypes`;
  if (ours instanceof Uint8Array) {
    return Buffer.compare(ours, theirs as Uint8Array) === 0 ? undefined : `${path}: bytes`;
  }
  const [ourKeys, theirKeys] = [ours, theirs].map((value) =>
    Object.keys(value).filter((key) => key !== "$unknown"),
  ) as [string[], string[]];
  if (ourKeys.length !== theirKeys.length) return `${path}: ${ourKeys} and ${theirKeys}`;
  for (const key of theirKeys) {
    if (!Object.hasOwn(ours, key)) return `${path}: no ${key}`;
    const [a, b] = [ours, theirs].map((value) => (value as Record<string, unknown>)[key]);
    const inside = difference(a, b, `${path}.${key}`);
    if (inside !== undefined) return inside;
  }
  return unknownDifference(ours, theirs, path);
}

// protobuf-es loses values that a closed enum does not have, when other unknown fields follow: then
// there is more in ours, in the same order.
function unknownDifference(ours: object, theirs: object, path: string): string | undefined {
  const [a, b] = [ours, theirs].map(
    (value) => (value as { readonly $unknown?: readonly UnknownField[] }).$unknown ?? [],
  ) as [readonly UnknownField[], readonly UnknownField[]];
  let at = 0;
  for (const field of b) {
    while (at < a.length && !isSameField(a[at] as UnknownField, field)) at++;
    if (at++ >= a.length) return `${path}: unknown field ${field.no} is missing`;
  }
  return b.length === 0 && a.length > 0 ? `${path}: unknown fields` : undefined;
}

function isSameField(a: UnknownField, b: UnknownField): boolean {
  return a.no === b.no && a.wireType === b.wireType && Buffer.compare(a.data, b.data) === 0;
}
