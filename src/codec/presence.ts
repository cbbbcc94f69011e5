// Fields with explicit presence: whether they are set, and the messages that they are in.
//
// In messages of proto2 and of editions, protobuf-es keeps the defaults of unset fields on a
// prototype.

/** Whether the message itself has the field. */
export function has(message: object, name: string): boolean {
  return Object.hasOwn(message, name) && (message as Record<string, unknown>)[name] !== undefined;
}

/**
 * A message without fields, to be filled: what `create` makes, for a message without lists and
 * maps. `prototype` is that of all messages of its type: the very one that protobuf-es gives them.
 */
export function withDefaults<T extends { readonly $typeName: string }>(
  prototype: object,
  typeName: T["$typeName"],
): T {
  const message = Object.create(prototype) as { $typeName: string };
  message.$typeName = typeName;
  return message as T;
}
