import { newStore } from "../store.ts";
import type { Request, Response } from "./host.ts";

const store = newStore();

process.on("message", ({ id, method, key, value }: Request) => {
  const answer = (value: Uint8Array | undefined): void => {
    process.send?.({ id, value } satisfies Response);
  };
  if (method === "echo") return answer(value);
  if (method === "put") {
    store.put(key, value as Uint8Array);
    return answer(undefined);
  }
  const result = store.get(key);
  if (result instanceof Promise) void result.then(answer);
  else answer(result);
});
process.on("disconnect", () => process.exit());
