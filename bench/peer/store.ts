// What every plugin in TypeScript answers with, so that peers differ in nothing but the way.

/** Under this key there is a value of 16 bytes, as long as nobody has put another one. */
export const smallKey = "colour";

/** A `get` of it is answered when something is put under it, and not before. */
export const heldKey = "held";

/** A `get` of it is answered by an `async` method, with the small value. */
export const laterKey = "later";

export function smallValue(): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode("0123456789abcdef");
}

export interface Store {
  /** @throws {Error} there is no value under the key. */
  get(key: string): Uint8Array | Promise<Uint8Array>;
  put(key: string, value: Uint8Array): void;
}

export function newStore(): Store {
  const small = smallValue();
  const values = new Map<string, Uint8Array>([[smallKey, small]]);
  let release = Promise.withResolvers<Uint8Array>();
  return {
    get(key) {
      const value = values.get(key);
      if (value !== undefined) return value;
      if (key === heldKey) return release.promise;
      if (key === laterKey) return later(small);
      throw new Error(`key [${key}] not in database`);
    },
    put(key, value) {
      if (key !== heldKey) return void values.set(key, value);
      release.resolve(small);
      release = Promise.withResolvers();
    },
  };
}

async function later(value: Uint8Array): Promise<Uint8Array> {
  return value;
}

/** The elements of a stream, each with memory of its own. */
export function* elements(count: number, byteCount: number): Generator<{ data: Uint8Array }> {
  for (let i = 0; i < count; i++) yield { data: new Uint8Array(byteCount) };
}
