// Loads and closes a plugin again and again, and fails if anything is left of it.
//
//   bun test/soak/loads.ts [count]     500 unless said otherwise

import { readdirSync } from "node:fs";

import { loadKV } from "../../example/gen/example_plug.ts";
import { compile, temporaryFolder } from "../support/compiled.ts";
import { fixture, nothingRuns, trace } from "../support/plugins.ts";
import { openDescriptors } from "../support/processes.ts";

const warmUpCount = 50;
const loadsAtOnce = 4;
// What may stay of all loads together. Measured: 5 to 15 MB, after 300 loads as after 1,200.
const maxGrownBytes = 32 * 1024 * 1024;

export interface LoadsReport {
  readonly count: number;
  readonly spanMs: number;
  readonly grownBytes: number;
  /** What was found that should not be there. */
  readonly left: readonly string[];
}

/** Loads and closes `count` plugins after a warm-up. Throws if a process is left. */
export async function loads(count: number): Promise<LoadsReport> {
  const own = trace();
  const folder = temporaryFolder();
  const plugin = await compile(fixture("about"));
  const transports = ["ring", "socket", "stdio"] as const;

  async function round(i: number): Promise<void> {
    const transport = transports[i % transports.length];
    const env = { ...own.env, TMPDIR: folder };
    await using kv = await loadKV(plugin, { transport, env });
    const value = await kv.get("size 10000");
    if (value.byteLength !== 10_000) throw new Error(`round ${i}: ${value.byteLength} bytes`);
  }

  async function rounds(total: number): Promise<void> {
    let next = 0;
    await Promise.all(
      Array.from({ length: loadsAtOnce }, async () => {
        while (next < total) await round(next++);
      }),
    );
  }

  await rounds(warmUpCount);
  const before = { fds: openDescriptors(), bytes: memory() };
  const startedAt = performance.now();
  await rounds(count);
  const spanMs = performance.now() - startedAt;
  await nothingRuns(own);

  const leftDescriptors = (): string[] =>
    [...openDescriptors()]
      .filter(([fd, what]) => before.fds.get(fd) !== what && !what.startsWith("/proc/"))
      .map(([fd, what]) => `descriptor ${fd}, ${what}`);
  // Bun closes its own copy of a descriptor a little after its stream was destroyed.
  for (let i = 0; i < 100 && leftDescriptors().length > 0; i++) await Bun.sleep(20);
  const left = leftDescriptors();
  left.push(...readdirSync(folder).map((name) => `file ${name}`));
  const startCount = own.started().length;
  if (startCount !== warmUpCount + count) left.push(`${startCount} starts`);
  const grownBytes = memory() - before.bytes;
  if (grownBytes > maxGrownBytes) left.push(`${grownBytes} bytes of memory`);
  return { count, spanMs, grownBytes, left };
}

function memory(): number {
  Bun.gc(true);
  return process.memoryUsage.rss();
}

if (import.meta.main) {
  const report = await loads(Number(process.argv[2] ?? 500));
  console.log(report);
  process.exit(report.left.length === 0 ? 0 : 1);
}
