// Whether a field of a message is set.

/**
 * Whether the message itself has the field. In messages of proto2 and of editions, an unset field
 * is found on the prototype, with its default.
 */
export function has(message: object, name: string): boolean {
  return Object.hasOwn(message, name) && (message as Record<string, unknown>)[name] !== undefined;
}
