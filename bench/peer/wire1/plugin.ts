// bun-plug's plugin for a host that was built with the Go original.

import { runKV } from "../../../example/gen/example_plug.ts";
import { newStore } from "../store.ts";

await runKV(newStore());
