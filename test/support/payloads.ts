// Messages that are nothing but bytes, for connections, which do not know what a message is.

import type { IncomingCall, CallHandler } from "../../src/call/incoming-call.ts";
import type { Route } from "../../src/call/outgoing-call.ts";
import type { PayloadReader, PayloadWriter } from "../../src/stream/payload.ts";

export const bytesWriter: PayloadWriter<Uint8Array> = {
  size: (bytes) => bytes.byteLength,
  write(bytes, buffer, at) {
    buffer.set(bytes, at);
    return at + bytes.byteLength;
  },
};

/** As generated code reads a `bytes` field: a copy, unless the memory is its own to keep. */
export const bytesReader: PayloadReader<Uint8Array> = {
  read: (buffer, from, to, owned) => (owned ? buffer.subarray(from, to) : buffer.slice(from, to)),
};

export const route: Route = { methodId: 0, service: "test.Echo", method: "Echo", objectId: 0 };

/** Answers each call at once with its request. */
export const echo: CallHandler = {
  handle(call, buffer, from, to) {
    call.respond(bytesWriter, buffer.slice(from, to));
  },
};

/** A handler that keeps the calls for the test to answer. */
export class KeepingHandler implements CallHandler {
  readonly calls: { readonly call: IncomingCall; readonly request: Uint8Array }[] = [];

  handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number): void {
    call.defer();
    this.calls.push({ call, request: buffer.slice(from, to) });
  }
}

export function bytes(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** How promises stand, without waiting for them: call it when all microtasks have run. */
export class Outcomes {
  readonly values: (unknown | undefined)[] = [];
  readonly errors: (Error | undefined)[] = [];
  /** How often each promise has settled. */
  readonly settleCounts: number[] = [];

  constructor(promises: readonly Promise<unknown>[]) {
    promises.forEach((promise, i) => {
      this.settleCounts[i] = 0;
      promise.then(
        (value) => {
          this.values[i] = value;
          this.settleCounts[i] = (this.settleCounts[i] as number) + 1;
        },
        (error: Error) => {
          this.errors[i] = error;
          this.settleCounts[i] = (this.settleCounts[i] as number) + 1;
        },
      );
    });
  }

  get settledCount(): number {
    return this.settleCounts.filter((count) => count === 1).length;
  }
}
