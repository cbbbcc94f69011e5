// Puts a value into the plugin beside this file, and gets it back.
//
//   $ bun example/kv/host.ts
//   colour is green
//   [not_found] key [taste] not in database
//
// Any other plugin that serves KV will do: give its path. That may be one that is compiled with
// `bun build --compile example/kv/plugin.ts --outfile kv`, or one that was written in Go.

import { isPlugError } from "bun-plug";
import { loadKV } from "../gen/example_plug.ts";

const [path = import.meta.resolve("./plugin.ts")] = process.argv.slice(2);

await using kv = await loadKV(path);

await kv.put("colour", new TextEncoder().encode("green"));
const value = await kv.get("colour");
console.log(`colour is ${new TextDecoder().decode(value)}`);

try {
  await kv.get("taste");
} catch (error) {
  if (!isPlugError(error)) throw error;
  console.log(error.message);
}
