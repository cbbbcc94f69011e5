// Says which field of a message cannot be encoded, after `size` has thrown.
//
// Printed code carries no names for its errors, and no schema, which would take 20 ms to evaluate
// when a plugin starts. So `size` is run once more, on a view of the message that remembers what
// was looked at last.

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";

/** The field that was looked at last. */
interface Place {
  typeName: string;
  field: string;
}

/** The error for a message that `size` has thrown over. Fields have the names of their members. */
export function notEncodable<T>(
  typeName: string,
  message: T,
  size: (message: T) => number,
  cause: unknown,
): PlugError {
  const where = faultIn(typeName, message, size);
  return new PlugError(
    "invalid_argument",
    `cannot encode ${typeName}: ${where === undefined ? "" : `field ${where}: `}${textOf(cause)}`,
    { cause },
  );
}

/** Thrown by printed code. */
export function requiredIsUnset(): never {
  throw new TypeError("required field not set");
}

function faultIn<T>(
  typeName: string,
  message: T,
  size: (message: T) => number,
): string | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  const place: Place = { typeName, field: "" };
  try {
    size(viewOf(message, typeName, place) as T);
  } catch {
    return place.field === "" ? undefined : `${place.typeName}.${place.field}`;
  }
  return undefined;
}

/** The message, but what is read from it is noted in `place`. */
function viewOf(message: object, typeName: string, place: Place): object {
  function note(field: PropertyKey): void {
    if (typeof field !== "string" || field.startsWith("$")) return;
    place.typeName = typeName;
    place.field = field;
  }

  // A member's value, with views in place of messages.
  function viewed(field: PropertyKey, value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (isMessage(value)) return viewOf(value, value.$typeName, place);
    if (Array.isArray(value)) return value.some(isMessage) ? items(field, value) : value;
    if (isOneof(value)) {
      note(value.case);
      return { case: value.case, value: viewed(value.case, value.value) };
    }
    if (!Object.values(value).some(isMessage)) return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, viewed(field, v)]));
  }

  function* items(field: PropertyKey, list: readonly unknown[]): Generator<unknown> {
    for (const item of list) {
      note(field); // after what was in the one before
      yield viewed(field, item);
    }
  }

  // Not of the message itself: what is frozen could not be shown as anything else.
  return new Proxy(Object.create(Object.getPrototypeOf(message) as object | null) as object, {
    get(_target, field) {
      note(field);
      return viewed(field, Reflect.get(message, field));
    },
    // `required` and `optional` fields are asked for in this way.
    getOwnPropertyDescriptor(_target, field) {
      note(field);
      const descriptor = Object.getOwnPropertyDescriptor(message, field);
      return descriptor && { ...descriptor, configurable: true };
    },
  });
}

function isMessage(value: unknown): value is { readonly $typeName: string } {
  const { $typeName } = (value ?? {}) as { $typeName?: unknown };
  return typeof $typeName === "string";
}

function isOneof(value: object): value is { readonly case: string; readonly value: unknown } {
  const { case: selected } = value as { case?: unknown };
  return typeof selected === "string" && "value" in value && Object.keys(value).length === 2;
}
