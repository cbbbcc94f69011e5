// Fills a template in with values of the plugin, in a function that cannot await: `replace` takes
// what its callback returns.
//
//   bun example/kv/render.ts
//
// Prints:
//
//   The sky is blue, and grass is green.
//
// As with host.ts, any program that serves KV will do.

import { loadKVSync } from "../gen/example_plug.ts";

const [path = import.meta.resolve("./plugin.ts")] = process.argv.slice(2);

using kv = loadKVSync(path);

kv.put("sky", new TextEncoder().encode("blue"));
kv.put("grass", new TextEncoder().encode("green"));

const template = "The sky is {sky}, and grass is {grass}.";
console.log(
  template.replace(/{(\w+)}/g, (_, name: string) => new TextDecoder().decode(kv.get(name))),
);
