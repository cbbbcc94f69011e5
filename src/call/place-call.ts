// How a call begins, on either wire, and how it waits for its turn.

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import {
  type CallOwner,
  cancelled,
  type CallTerms,
  OutgoingCall,
  parentOf,
  type Route,
} from "./outgoing-call.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";

/** Takes calls that are ready to go. */
export interface CallStarter extends CallOwner {
  /**
   * Why no call can be placed, or undefined if one can. One that is made for a call in flight can
   * be placed for longer than others.
   */
  refusal(isNested: boolean): PlugError | undefined;
  /** Sends the call, or lets it wait. Never throws: what goes wrong rejects the call. */
  begin(call: OutgoingCall): void;
}

const maxTimeoutMs = 2 ** 31 - 1;

// The executor of every call's promise: one function for all of them, instead of a closure each.
let resolveCall: (value: unknown) => void;
let rejectCall: (error: PlugError) => void;
function capture(resolve: (value: unknown) => void, reject: (error: PlugError) => void): void {
  resolveCall = resolve;
  rejectCall = reject;
}

/** Makes the promise and the call behind it. Never throws: what goes wrong is a rejection. */
export function placeCall<T, R>(
  starter: CallStarter,
  route: Route,
  writer: PayloadWriter<T>,
  value: T,
  reader: PayloadReader<R>,
  terms: CallTerms | undefined,
): Promise<R> {
  const promise = new Promise<unknown>(capture);
  placeCallFor(starter, route, writer, value, reader, terms, resolveCall, rejectCall);
  return promise as Promise<R>;
}

/**
 * {@link placeCall} for whoever cannot wait for a promise: its end is told to `resolve` or `reject`,
 * perhaps before this returns. Returns the call, or undefined if it was refused.
 */
export function placeCallFor<T>(
  starter: CallStarter,
  route: Route,
  writer: PayloadWriter<T>,
  value: T,
  reader: PayloadReader<unknown>,
  terms: CallTerms | undefined,
  resolve: (value: unknown) => void,
  reject: (error: PlugError) => void,
): OutgoingCall | undefined {
  const refusal = refusalOf(starter, route, terms);
  if (refusal !== undefined) {
    reject(refusal);
    return undefined;
  }
  const call = new OutgoingCall(
    starter,
    route,
    writer as PayloadWriter<unknown>,
    value,
    reader,
    terms,
    resolve,
    reject,
  );
  starter.begin(call);
  return call;
}

/** {@link placeCall} for a call that streams. `make` gives it its halves before it begins. */
export function placeStream<T, R>(
  starter: CallStarter,
  route: Route,
  writer: PayloadWriter<T>,
  value: T,
  reader: PayloadReader<R>,
  terms: CallTerms | undefined,
  prepare: (call: OutgoingCall) => void,
): { readonly call: OutgoingCall; readonly response: Promise<R> } {
  const refusal = refusalOf(starter, route, terms);
  if (refusal !== undefined) throw refusal;
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  // Whoever iterates hears of a failure by that; not everybody asks the response too.
  promise.catch(() => {});
  const call = new OutgoingCall(
    starter,
    route,
    writer as PayloadWriter<unknown>,
    value,
    reader,
    terms,
    resolve,
    reject,
  );
  prepare(call);
  starter.begin(call);
  return { call, response: promise as Promise<R> };
}

function refusalOf(
  starter: CallStarter,
  route: Route,
  terms: CallTerms | undefined,
): PlugError | undefined {
  if (terms === undefined) return starter.refusal(false);
  const parent = parentOf(terms);
  const isNested = parent !== undefined && starter.owns(parent);
  return starter.refusal(isNested) ?? checkTerms(route, terms);
}

function checkTerms(route: Route, terms: CallTerms): PlugError | undefined {
  const name = `${route.service}.${route.method}`;
  const parent = parentOf(terms);
  if (parent?.abortReason !== undefined) return cancelled(name, parent.abortReason);
  if (parent !== undefined && parent.deadlineAt > 0 && parent.deadlineAt <= performance.now()) {
    return noTimeLeft(name);
  }
  if ((terms as unknown) === parent) return undefined;
  const { signal, timeoutMs, context } = terms;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    return wrong("signal must be an AbortSignal", signal);
  }
  for (const name of ["onHeader", "onTrailer"] as const) {
    const callback: unknown = terms[name];
    if (callback !== undefined && typeof callback !== "function") {
      return wrong(`${name} must be a function`, callback);
    }
  }
  // A spread of a context has what a call keeps for itself, and nothing that options have.
  if ((context !== undefined && parent === undefined) || "heapIndex" in terms) {
    return wrong("context must be the context of a call, as in { context, timeoutMs }", context);
  }
  const fault = timeoutFault(timeoutMs);
  if (fault !== undefined) return fault;
  if (signal?.aborted === true) return cancelled(name, signal.reason);
  return timeoutMs === 0 ? noTimeLeft(name) : undefined;
}

/** What is wrong with a `timeoutMs`, or undefined. */
export function timeoutFault(timeoutMs: unknown): PlugError | undefined {
  if (timeoutMs === undefined) return undefined;
  const isSpan = typeof timeoutMs === "number" && timeoutMs >= 0 && timeoutMs <= maxTimeoutMs;
  return isSpan ? undefined : wrong("timeoutMs must be a number from 0 to 2^31 - 1", timeoutMs);
}

function wrong(what: string, value: unknown): PlugError {
  return new PlugError("invalid_argument", `${what}, got ${textOf(value)}`);
}

// Nothing can be answered in no time: such a call is not sent, and does not depend on luck.
function noTimeLeft(name: string): PlugError {
  return new PlugError("deadline_exceeded", `${name} had no time left`);
}

/** Calls that wait for their turn, first come first served. */
export class WaitingCalls {
  readonly #calls = new Set<OutgoingCall>();

  get count(): number {
    return this.#calls.size;
  }

  add(call: OutgoingCall): void {
    this.#calls.add(call);
  }

  remove(call: OutgoingCall): void {
    this.#calls.delete(call);
  }

  /** The one that has waited longest. */
  take(): OutgoingCall | undefined {
    for (const call of this.#calls) {
      this.#calls.delete(call);
      return call;
    }
    return undefined;
  }

  takeAll(): OutgoingCall[] {
    const calls = [...this.#calls];
    this.#calls.clear();
    return calls;
  }
}
