// Random traffic over a ring between two processes, both ways, with random sleeps on both sides.
//
//   bun test/soak/ring.ts [seconds] [seed]     60 seconds and a new seed unless said otherwise

import { closeSync } from "node:fs";

import { memoryFdInChild, socketFdInChild } from "../../src/process/child.ts";
import { createSharedMemory } from "../../src/process/shared-memory.ts";
import { ringMemoryBytes } from "../../src/transport/ring-memory.ts";
import { RingTransport } from "../../src/transport/ring-transport.ts";
import { fixture } from "../support/plugins.ts";
import { exchange, pingPong, type TrafficReport } from "../support/ring-traffic.ts";
import { within } from "../support/within.ts";

// Whoever has not come to an end so long after the last record hangs.
const settlesWithinMs = 10_000;

export interface RingSoakOptions {
  readonly spanMs: number;
  readonly seed: number;
  /** @defaultValue `"random"` */
  readonly traffic?: "random" | "ping-pong";
  /** Of the host and of the plugin. */
  readonly poll?: readonly [boolean, boolean];
}

/** What has come to each side. Throws if anything is lost, changed, or hangs. */
export async function ringSoak({
  spanMs,
  seed,
  traffic = "random",
  poll = [true, true],
}: RingSoakOptions): Promise<{ readonly host: TrafficReport; readonly plugin: TrafficReport }> {
  const memory = createSharedMemory(ringMemoryBytes);
  if (memory === undefined) throw new Error("no shared memory");
  const stdio: unknown[] = ["ignore", "pipe", "inherit"];
  stdio[socketFdInChild] = "socket-fd";
  stdio[memoryFdInChild] = memory.fd;
  const child = Bun.spawn(
    [process.execPath, fixture("ring-peer"), `${spanMs}`, `${seed + 1}`, `${poll[1]}`, traffic],
    { stdio: stdio as never },
  );
  closeSync(memory.fd);
  const transport = new RingTransport({
    memory: memory.bytes,
    side: "host",
    socketFd: child.stdio[socketFdInChild] as unknown as number,
    poll: poll[0],
  });
  try {
    const limitMs = spanMs + settlesWithinMs;
    const own =
      traffic === "random"
        ? exchange(transport, spanMs, seed)
        : pingPong(transport, true, spanMs, seed);
    const host = await within(limitMs, own);
    const said = (child.stdout as unknown as ReadableStream).getReader().read();
    const { value } = (await within(settlesWithinMs, said)) as { value?: Uint8Array };
    return { host, plugin: JSON.parse(new TextDecoder().decode(value)) };
  } catch (error) {
    throw new Error(`${traffic}, seed ${seed}, poll ${poll}: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    transport.close();
    child.kill("SIGKILL");
    await child.exited;
  }
}

if (import.meta.main) {
  const untilMs = performance.now() + Number(process.argv[2] ?? 60) * 1_000;
  const isOn = [true, false];
  for (let seed = Number(process.argv[3] ?? Date.now() % 1_000_000); ; seed += 1) {
    const poll = [isOn[seed & 1], isOn[(seed >> 1) & 1]] as [boolean, boolean];
    const spanMs = Math.min(5_000, untilMs - performance.now());
    if (spanMs < 100) break;
    const traffic = seed % 3 === 0 ? "random" : "ping-pong";
    console.log(seed, traffic, poll, await ringSoak({ spanMs, seed, traffic, poll }));
  }
}
