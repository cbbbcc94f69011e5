import { PlugError } from "bun-plug/plugin";
import { runKV } from "../gen/example_plug.ts";

const values = new Map<string, Uint8Array>();

await runKV({
  get(key) {
    const value = values.get(key);
    if (value === undefined) throw new PlugError("not_found", `key [${key}] not in database`);
    return value;
  },
  put(key, value) {
    values.set(key, value);
  },
});
