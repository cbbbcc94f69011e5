// Lets a plugin build files: it reads them through the host, and reports to an object of the host.
//
//   bun example/build/host.ts
//
// Prints:
//
//   → example.Builder.Build
//   1: a.txt
//   2: b.txt
//   built 2 files for wasm, 3 lines
//   → example.Builder.Build
//   a file that is not there: [not_found] no file c.txt

import { type Interceptor, isPlugError, PlugError, pluginOf } from "bun-plug";
import { Files, type FilesHandler, loadBuilder, Progress } from "../gen/build_plug.ts";

const [path = import.meta.resolve("./plugin.ts")] = process.argv.slice(2);

const project: FilesHandler = {
  read(path) {
    if (path === "a.txt") return "one\ntwo";
    if (path === "b.txt") return "three";
    throw new PlugError("not_found", `no file ${path}`);
  },
};

const logged: Interceptor = (request, next) => {
  if (request.service === "example.Builder") console.log(`→ ${request.service}.${request.method}`);
  return next(request);
};

await using builder = await loadBuilder(path, {
  offer: [[Files, project]],
  interceptors: [logged],
});

let lines: string | undefined;
using progress = pluginOf(builder).refer(Progress, {
  report: (path, doneCount) => console.log(`${doneCount}: ${path}`),
});
const summary = await builder.build(["a.txt", "b.txt"], progress, {
  headers: { target: "wasm" },
  onTrailer: (trailers) => (lines = trailers.get("lines")),
});
console.log(`${summary}, ${lines} lines`);

try {
  using another = pluginOf(builder).refer(Progress, { report: () => {} });
  await builder.build(["c.txt"], another);
} catch (error) {
  if (!isPlugError(error)) throw error;
  console.log(`a file that is not there: ${error.message}`);
}
