// Builds files that it reads through the host, and reports each one to the caller's object.

import { Files, Progress, runBuilder } from "../gen/build_plug.ts";

await runBuilder({
  async build(paths, progress, context) {
    const files = context.host(Files); // what the host offers
    await using reports = context.resolve(Progress, progress); // what this call brought
    let lineCount = 0;
    for (const [i, path] of paths.entries()) {
      // With the context, these calls end when this one is given up.
      const text = await files.read(path, context);
      lineCount += text.split("\n").length;
      await reports.report(path, i + 1, context);
    }
    context.responseTrailers.set("lines", String(lineCount));
    return `built ${paths.length} files for ${context.requestHeaders.get("target")}`;
  },
});
