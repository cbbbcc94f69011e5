// What was thrown, as text. Anything can be thrown, so nothing about it is taken for granted.

/** The message of an error, or any other value as a string. Never throws. */
export function textOf(thrown: unknown): string {
  try {
    const text: unknown = thrown instanceof Error ? thrown.message : thrown;
    return String(text);
  } catch {
    return "something was thrown that cannot be printed";
  }
}
