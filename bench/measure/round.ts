// One round of one case of one peer, in a process of its own; prints the sample as a line of JSON.
//
//   bun bench/measure/round.ts HOST JOB
//
// HOST is the path of the peer's host.ts, JOB a Job as JSON.

import { resolve } from "node:path";

import type { HostModule, Subject } from "../peer/subject.ts";
import { busyPlugins } from "./busy-plugins.ts";
import { fairness } from "./fairness.ts";
import { frame } from "./frame.ts";
import { payload } from "./payload.ts";
import { held, idle, start } from "./processes.ts";
import { rare, rate } from "./rate.ts";
import type { Job, Kind, Sample } from "./sample.ts";
import { slowReader } from "./slow-reader.ts";
import { stream } from "./stream.ts";
import { unary } from "./unary.ts";

type Measurement = (subject: Subject, job: Job) => Promise<Sample>;
type LoadingMeasurement = (host: HostModule, job: Job) => Promise<Sample>;

/** Of one plugin that is loaded. */
const measurements: Partial<Record<Kind, Measurement>> = {
  unary,
  rate,
  rare,
  up: payload,
  down: payload,
  echo: payload,
  produce: stream,
  consume: stream,
  exchange: stream,
  fairness,
  "slow-reader": slowReader,
};

/** Those that load plugins themselves, or none. */
const loadingMeasurements: Partial<Record<Kind, LoadingMeasurement>> = {
  start,
  idle,
  held,
  "busy-plugins": busyPlugins,
  frame,
};

const [path = "", text = ""] = process.argv.slice(2);
const host = (await import(resolve(path))) as HostModule;
try {
  console.log(JSON.stringify(await measure(host, JSON.parse(text) as Job)));
  // Some peers keep timers or sockets that would hold the process.
  process.exit(0);
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : Bun.inspect(error)}`);
  process.exit(1);
}

async function measure(host: HostModule, job: Job): Promise<Sample> {
  const loading = loadingMeasurements[job.kind];
  if (loading !== undefined) return await loading(host, job);
  const measurement = measurements[job.kind];
  if (measurement === undefined) throw new Error(`cannot measure ${job.kind}`);
  const subject = await host.open(job.command, job.variant);
  const sample = await measurement(subject, job);
  await subject[Symbol.asyncDispose]();
  return sample;
}
