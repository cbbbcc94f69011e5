// Finds the handler's method for a call, runs it, and answers with what it returns.
//
// A handler that returns a plain value is answered at once, without a promise. Knows nothing of
// frames, and not which wire a call came by.

import type { DescMessage } from "@bufbuild/protobuf";

import { type CallHandler, type IncomingCall, responseFailure } from "../call/incoming-call.ts";
import { PlugError } from "../error/plug-error.ts";
import type { MessageSender } from "../stream/message-sender.ts";
import { emptyWriter } from "../stream/payload.ts";
import { isMessageSource, pump } from "../stream/pump.ts";
import { message } from "./bound-service.ts";
import type { Method, Service, UnaryMethod } from "./service.ts";
import { streamFlags } from "./stream-flags.ts";

/** A service and what answers its calls. */
export interface Served {
  readonly service: Service<object, object>;
  readonly handler: object;
}

/**
 * Checks that a handler has every method of its service.
 *
 * @throws {PlugError} `invalid_argument`: names what is missing.
 */
export function checkHandler({ service, handler }: Served): void {
  const missing = service.methods
    .filter(
      ({ localName }) => typeof (handler as Record<string, unknown>)[localName] !== "function",
    )
    .map(({ localName }) => `${localName}()`);
  if (missing.length === 0) return;
  throw new PlugError(
    "invalid_argument",
    `the handler of ${service.typeName} lacks ${missing.join(", ")}`,
  );
}

interface Entry {
  readonly service: string;
  readonly method: Method<object>;
  readonly handler: object;
}

interface Waiting {
  readonly entry: Entry;
  readonly call: IncomingCall;
  readonly request: unknown;
  readonly onAbort: () => void;
}

/** Runs handlers. Method ids are positions: those of the first service come first. */
export class Dispatcher implements CallHandler {
  readonly #entries: readonly Entry[];
  readonly #maxRunningHandlers: number;
  readonly #waiting = new Set<Waiting>();
  #runningCount = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  /** `maxRunningHandlers`: calls beyond it wait until one of the others is through. */
  constructor(served: readonly Served[], maxRunningHandlers: number) {
    this.#entries = served.flatMap(({ service, handler }) =>
      service.methods.map((method) => ({ service: service.typeName, method, handler })),
    );
    this.#maxRunningHandlers = maxRunningHandlers;
  }

  /** Handlers that have returned a promise which is not settled. */
  get runningCount(): number {
    return this.#runningCount;
  }

  /** Resolves when no handler runs. */
  idle(): Promise<void> {
    if (this.#runningCount === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  handle(call: IncomingCall, buffer: Uint8Array, from: number, to: number, owned: boolean): void {
    const entry = this.#entries[call.methodId];
    if (entry === undefined) {
      call.fail(new PlugError("unimplemented", `there is no method ${call.methodId} here`));
      return;
    }
    const { kind, input } = entry.method;
    call.service = entry.service;
    call.method = entry.method.name;
    if (call.streamFlags !== streamFlags[kind]) {
      call.fail(wrongKind(call, kind));
      return;
    }
    let request: unknown;
    try {
      const isStream = kind === "client_streaming" || kind === "bidi_streaming";
      request = isStream ? call.messages(input) : input.read(buffer, from, to, owned);
    } catch (error) {
      call.fail(error);
      return;
    }
    if (this.#runningCount < this.#maxRunningHandlers) {
      this.#run(entry, call, request);
    } else {
      call.defer();
      // One that is given up must not be kept until some stuck handler makes room.
      const onAbort = (): void => void this.#waiting.delete(waiting);
      const waiting = { entry, call, request, onAbort };
      this.#waiting.add(waiting);
      call.signal.addEventListener("abort", onAbort);
    }
  }

  #run(entry: Entry, call: IncomingCall, request: unknown): void {
    let result: unknown;
    let isPromised: boolean;
    try {
      result = entry.method.handle(entry.handler, request as never, call);
      isPromised = isThenable(result);
    } catch (error) {
      call.fail(error);
      return;
    }
    if (call.sender !== undefined) {
      result = stream(entry, call, call.sender, result);
    } else if (!isPromised) {
      answer(entry, call, result);
      return;
    }
    this.#runningCount += 1;
    call.defer();
    // Through Promise.resolve, which gives a promise back as it is, and makes one that settles
    // once of anything else that has a `then`.
    Promise.resolve(result).then(
      (value) => {
        if (call.sender === undefined) answer(entry, call, value);
        else call.respond(emptyWriter, undefined);
        this.#finished();
      },
      (error) => {
        call.fail(error);
        this.#finished();
      },
    );
  }

  #finished(): void {
    this.#runningCount -= 1;
    for (const waiting of this.#waiting) {
      if (this.#runningCount >= this.#maxRunningHandlers) break;
      const { entry, call, request, onAbort } = waiting;
      this.#waiting.delete(waiting);
      call.signal.removeEventListener("abort", onAbort);
      this.#run(entry, call, request);
    }
    if (this.#runningCount > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

function answer(entry: Entry, call: IncomingCall, result: unknown): void {
  const { output, pack } = entry.method as UnaryMethod<
    object,
    DescMessage,
    DescMessage,
    unknown,
    unknown
  >;
  try {
    call.respond(output, message(output, pack(result)));
  } catch (error) {
    call.fail(responseFailure(call, error));
  }
}

// Resolves when all messages have gone out.
async function stream(
  { method: { output } }: Entry,
  call: IncomingCall,
  sender: MessageSender,
  messages: unknown,
): Promise<void> {
  if (!isMessageSource(messages)) {
    throw responseFailure(call, new TypeError("it is not iterable"));
  }
  await pump(messages, sender, (init) => {
    try {
      sender.send(output, message(output, init));
    } catch (error) {
      throw responseFailure(call, error);
    }
  });
  // A deadline of the call has passed; one that was given up has its answer already.
  if (sender.stopReason !== undefined) throw sender.stopReason;
}

function wrongKind(call: IncomingCall, kind: string): PlugError {
  return new PlugError(
    "unimplemented",
    `${call.service}.${call.method} is ${kind.replace("_", " ")} here, and the caller takes it for something else`,
  );
}

function isThenable(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { readonly then?: unknown }).then === "function"
  );
}
