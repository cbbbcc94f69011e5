// Stores a value in the plugin, gets it back, and asks for one that is not there.
//
//   bun example/kv/host.ts
//
// Prints:
//
//   colour = green
//   taste: [not_found] key [taste] not in database
//
// Any program that serves KV will do, compiled from plugin.ts or written in Go: give its path.

import { isPlugError } from "bun-plug";
import { loadKV } from "../gen/example_plug.ts";

const [path = import.meta.resolve("./plugin.ts")] = process.argv.slice(2);

await using kv = await loadKV(path);

await kv.put("colour", new TextEncoder().encode("green"));
const value = await kv.get("colour");
console.log(`colour = ${new TextDecoder().decode(value)}`);

try {
  await kv.get("taste");
} catch (error) {
  if (!isPlugError(error)) throw error;
  console.log(`taste: ${error.message}`);
}
