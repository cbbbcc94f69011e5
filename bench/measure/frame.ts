// Framing alone, in one process and without I/O, by mitata. Numbers are those of one frame.
//
// Modes: "read" (a chunk of whole frames), "cut" (the same, but each chunk ends within a frame),
// "write" (headers in front of payloads that are copied).

import { do_not_optimize, measure } from "mitata";

import { FrameReader, type FrameSink } from "../../src/frame/frame-reader.ts";
import { FrameKind, headerBytes, writeHeader } from "../../src/frame/frame-header.ts";
import type { HostModule } from "../peer/subject.ts";
import type { Job, Sample } from "./sample.ts";

const framesPerChunk = 64;
const maxPayloadBytes = 64 * 1024;

export async function frame(_host: HostModule, job: Job): Promise<Sample> {
  const { p50, p99, avg } = await measure(benchOf(job), { min_cpu_time: job.seconds * 1e9 });
  return {
    transport: "none",
    metrics: {
      p50_ns: p50 / framesPerChunk,
      p99_ns: p99 / framesPerChunk,
      mean_ns: avg / framesPerChunk,
      messages_per_s: (1e9 * framesPerChunk) / avg,
    },
  };
}

// What is measured gets its input computed, and its result is used: the engine may delete it else.
function benchOf({ mode, payloadBytes }: Job) {
  return function* () {
    const payload = new Uint8Array(payloadBytes).fill(0x5a);
    const chunk = new Uint8Array((headerBytes + payloadBytes) * framesPerChunk);
    const view = new DataView(chunk.buffer);
    write(chunk, view, payload);
    const sink = new Sink();
    const reader = new FrameReader(maxPayloadBytes, sink);
    const half = Math.floor(chunk.byteLength / 2) + headerBytes / 2;
    const read = (bytes: Uint8Array): number => {
      if (mode === "cut") {
        reader.push(bytes, 0, half);
        reader.push(bytes, half, bytes.byteLength);
      } else {
        reader.push(bytes, 0, bytes.byteLength);
      }
      return sink.sum;
    };
    if (mode === "write") yield () => do_not_optimize(write(chunk, view, payload));
    else yield () => do_not_optimize(read(chunk));
  };
}

class Sink implements FrameSink {
  sum = 0;

  frame(
    _kind: number,
    _flags: number,
    _methodId: number,
    requestId: number,
    buffer: Uint8Array,
    from: number,
    to: number,
  ): void {
    this.sum = (this.sum + requestId + (buffer[from] ?? 0) + to) | 0;
  }
}

function write(chunk: Uint8Array, view: DataView, payload: Uint8Array): number {
  let at = 0;
  for (let id = 1; id <= framesPerChunk; id++) {
    writeHeader(view, at, payload.byteLength, FrameKind.Request, 0, 1, id);
    chunk.set(payload, at + headerBytes);
    at += headerBytes + payload.byteLength;
  }
  return at;
}
