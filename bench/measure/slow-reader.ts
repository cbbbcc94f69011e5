// A stream of 10 GiB whose reader takes one element a second: what it costs both sides in memory.
//
// Modes: "down" (the plugin produces, the host reads), "up" (the other way round). It is watched
// for the seconds of the job and then given up; all of it would take two days.

import type { Element, Subject } from "../peer/subject.ts";
import type { Job, Sample } from "./sample.ts";
import { watchMemory } from "./usage.ts";

const elementBytes = 64 * 1024;
const elementCount = (10 * 1024 ** 3) / elementBytes;

export async function slowReader(subject: Subject, job: Job): Promise<Sample> {
  const { stream, own, pid } = subject;
  if (stream === undefined || own === undefined || pid === undefined) {
    throw new Error("has no streams to a process");
  }
  // Once around, so that code and buffers are there before memory is looked at.
  for await (const _ of stream.produce(100, elementBytes));
  await stream.consume(Array.from({ length: 100 }, newElement));
  Bun.gc(true);
  const metrics = watchMemory(pid);
  const elements =
    job.mode === "up"
      ? await produceHere((source, signal) => own.sip(source, signal), job.seconds)
      : await readHere(stream.produce(elementCount, elementBytes), job.seconds);
  return { transport: subject.transport, metrics: { ...metrics(), elements } };
}

function newElement(): Element {
  return { data: new Uint8Array(elementBytes) };
}

async function readHere(source: AsyncIterable<Element>, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let taken = 0;
  for await (const _ of source) {
    taken += 1;
    if (performance.now() >= end) break;
    await Bun.sleep(1_000);
  }
  return taken;
}

async function produceHere(
  sip: (source: Iterable<Element>, signal: AbortSignal) => Promise<number>,
  seconds: number,
): Promise<number> {
  let produced = 0;
  const source = function* (): Generator<Element> {
    for (; produced < elementCount; produced++) yield newElement();
  };
  const giveUp = new AbortController();
  const answer = sip(source(), giveUp.signal).then(
    () => new Error("the stream ended before its time"),
    () => undefined, // given up, as it should be
  );
  await Bun.sleep(seconds * 1000);
  giveUp.abort();
  const error = await answer;
  if (error !== undefined) throw error;
  return produced;
}
