// The answer of the handshake, however long it is, and however little the pipe takes at once.

import { describe, expect, test } from "bun:test";
import { closeSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { writeWhole } from "../../src/plugin/stdout-guard.ts";
import { libc } from "../../src/process/libc.ts";
import { loadKV } from "../../example/gen/example_plug.ts";
import { temporaryFolder } from "../support/compiled.ts";
import { inEveryVariant, text } from "../support/plugins.ts";
import { patternBytes } from "../support/random.ts";

/** A plugin of KV with so many methods more that it takes `methodCount` names to say so. */
function pluginOfMethods(methodCount: number): string {
  const root = resolve(import.meta.dir, "../..");
  const path = join(temporaryFolder(), "many.ts");
  writeFileSync(
    path,
    `import { runPlugin } from "${root}/src/plugin.ts";
import { KV } from "${root}/example/gen/example_plug.ts";

const [get] = KV.methods;
const more = Array.from({ length: ${methodCount} - KV.methods.length }, (_, i) => ({
  ...get,
  name: "MethodOfARatherLongName" + i,
}));
const handler = { get: (key) => new TextEncoder().encode("value of " + key), put() {} };
await runPlugin([{ ...KV, methods: [...more, ...KV.methods] }, handler]);
`,
  );
  return path;
}

describe("an answer of more than 64 KiB", () => {
  test("comes whole: a plugin of 2,500 methods, or of 20,000, is loaded on every transport", async () => {
    for (const methodCount of [2_500, 20_000]) {
      const path = pluginOfMethods(methodCount);
      await inEveryVariant(async (variant) => {
        await using kv = await loadKV(path, variant);
        expect(text(await kv.get("a"))).toBe("value of a");
      });
    }
  });
});

describe("writeWhole", () => {
  const c = libc();

  test.skipIf(c === undefined)(
    "writes all of it to a non-blocking FIFO whose reader comes late",
    async () => {
      const bytes = patternBytes(1024 * 1024);
      const path = join(temporaryFolder(), "received");
      const { readFd, writeFd } = (c as NonNullable<typeof c>).pipe();
      c?.setNonBlocking(writeFd, "write");
      const reader = Bun.spawn(["/bin/sh", "-c", `sleep 0.1; cat > "${path}"`], {
        stdio: [readFd, "ignore", "inherit"],
      });
      closeSync(readFd);

      writeWhole(writeFd, bytes);

      closeSync(writeFd);
      expect(await reader.exited).toBe(0);
      expect(Buffer.compare(readFileSync(path), bytes)).toBe(0);
    },
  );

  test.skipIf(c === undefined)("throws what the kernel says if nobody reads", () => {
    const { readFd, writeFd } = (c as NonNullable<typeof c>).pipe();
    closeSync(readFd);

    expect(() => writeWhole(writeFd, patternBytes(10))).toThrow("EPIPE");

    closeSync(writeFd);
  });
});
