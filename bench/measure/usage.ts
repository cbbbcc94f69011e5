// What a process has used of the machine. Linux only: elsewhere there is no number.

import { readdirSync, readFileSync } from "node:fs";

import type { Metrics } from "./metrics.ts";

/** Bytes of memory that a process holds, pages that it shares with others counted in full. */
export function residentBytes(pid: number): number | undefined {
  return memoryBytes(`/proc/${pid}/status`, "VmRSS");
}

/** The same, a page that n processes share counted as its nth part. */
export function proportionalBytes(pid: number): number | undefined {
  return memoryBytes(`/proc/${pid}/smaps_rollup`, "Pss");
}

function memoryBytes(path: string, name: string): number | undefined {
  try {
    const line = readFileSync(path, "utf8").match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"));
    return line === null ? undefined : Number(line[1]) * 1024;
  } catch {
    return undefined; // not Linux, or the process has ended
  }
}

/** Nanoseconds of processor time that all threads of a process have had. */
export function cpuNs(pid: number): number | undefined {
  if (pid === process.pid) {
    // Counts threads that have ended too, and costs the process that is looked at next to nothing.
    const { user, system } = process.cpuUsage();
    return (user + system) * 1000;
  }
  try {
    let sum = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    }
    return sum;
  } catch {
    return undefined;
  }
}

/** Processor time of host and plugin from now on; `per` divides it. */
export function watchCpu(pluginPid: number | undefined): (per: number) => Metrics {
  const cpuOfPlugin = (): number | undefined =>
    pluginPid === undefined ? undefined : cpuNs(pluginPid);
  // The host's last and first, so that it is not charged for looking at the plugin.
  const pluginBefore = cpuOfPlugin();
  const hostBefore = cpuNs(process.pid);
  return (per) => {
    const [host, plugin] = [cpuNs(process.pid), cpuOfPlugin()];
    return {
      ...(host === undefined || hostBefore === undefined
        ? {}
        : { host_cpu_ns: (host - hostBefore) / per }),
      ...(plugin === undefined || pluginBefore === undefined
        ? {}
        : { plugin_cpu_ns: (plugin - pluginBefore) / per }),
    };
  };
}

const quietLookMs = 250;
const quietLookCount = 3;
const quietShare = 0.01;
const mostLooks = 16;

/**
 * Waits until processes have had next to nothing to do for a while, or for four seconds: code is
 * compiled and garbage collected by other threads, when the load that asked for it is over.
 */
export async function untilQuiet(pids: readonly number[]): Promise<void> {
  let quietCount = 0;
  for (let look = 0; look < mostLooks && quietCount < quietLookCount; look++) {
    const before = pids.map(cpuNs);
    await Bun.sleep(quietLookMs);
    const most = Math.max(...pids.map((pid, i) => (cpuNs(pid) ?? 0) - (before[i] ?? 0)));
    quietCount = most < quietShare * quietLookMs * 1e6 ? quietCount + 1 : 0;
  }
}

interface Seen {
  readonly first: number;
  most: number;
}

const lookEveryMs = 50;

/** Memory of host and plugin from now on: the most of each, and how much more than now that is. */
export function watchMemory(pluginPid: number): () => Metrics {
  const pids = [process.pid, pluginPid];
  const seen = pids.map((pid): Seen => {
    const first = residentBytes(pid) ?? NaN;
    return { first, most: first };
  });
  const look = (): void => {
    for (const [i, one] of seen.entries()) {
      one.most = Math.max(one.most, residentBytes(pids[i] as number) ?? NaN);
    }
  };
  const timer = setInterval(look, lookEveryMs);
  return () => {
    clearInterval(timer);
    look();
    const [host, plugin] = seen as [Seen, Seen];
    if (Number.isNaN(host.most + plugin.most)) return {};
    return {
      host_rss_bytes: host.most,
      host_growth_bytes: host.most - host.first,
      plugin_rss_bytes: plugin.most,
      plugin_growth_bytes: plugin.most - plugin.first,
    };
  };
}
