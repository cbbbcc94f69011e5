// One round of one peer, in a process of its own: prints a line of JSON.
//
//   bun bench/peer/host.ts PATH SECONDS [TRANSPORT]

import { pluginOf } from "bun-plug";

import { loadKV } from "../../example/gen/example_plug.ts";
import { measure } from "./measure.ts";

const [path = "", seconds = "1", transport] = process.argv.slice(2);
await using kv = await loadKV(path, {
  transport: transport as "socket" | "stdio" | undefined,
  logger: false,
});
await kv.put("colour", new TextEncoder().encode("0123456789abcdef"));
const result = await measure(() => kv.get("colour"), Number(seconds));
console.log(JSON.stringify({ ...result, transport: pluginOf(kv).stats().transport }));
