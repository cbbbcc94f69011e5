// Many plugins of one host, all busy: calls per second of all of them together.

import { smallKey } from "../peer/store.ts";
import type { HostModule } from "../peer/subject.ts";
import { keepInFlight } from "./callers.ts";
import type { Job, Sample } from "./sample.ts";

const plugins = 10;
// Some plugins are asked for both of their services, so that there are 16 of them.
const pluginsOfTwo = 6;

/** `inFlight` calls in flight, in equal parts on each service; with the mode "one" all on one plugin. */
export async function busyPlugins(host: HostModule, job: Job): Promise<Sample> {
  const subjects = await Promise.all(
    Array.from({ length: job.mode === "one" ? 1 : plugins }, () =>
      host.open(job.command, job.variant),
    ),
  );
  const data = new Uint8Array(16);
  const calls = subjects.flatMap((subject, i) => [
    () => subject.get(smallKey),
    ...(i < pluginsOfTwo ? [() => subject.echo(data)] : []),
  ]);
  const callers = Math.ceil(job.inFlight / calls.length);
  const run = (seconds: number) =>
    Promise.all(calls.map((call) => keepInFlight(call, callers, seconds)));
  await run(job.warmUpSeconds);
  const results = await run(job.seconds);
  await Promise.all(subjects.map((subject) => subject[Symbol.asyncDispose]()));
  const callsPerS = results.reduce((sum, { callCount, seconds }) => sum + callCount / seconds, 0);
  return {
    transport: subjects[0]?.transport ?? "",
    metrics: { calls_per_s: callsPerS, plugins: subjects.length },
  };
}
