// Finds the handler's method for a call, runs it, and answers with what it returns.
//
// A handler that returns a plain value is answered at once, without a promise. Knows nothing of
// frames, and not which wire a call came by.

import type { DescMessage } from "@bufbuild/protobuf";

import { blocked } from "../call/blocked.ts";
import { type CallHandler, type IncomingCall, responseFailure } from "../call/incoming-call.ts";
import { PlugError } from "../error/plug-error.ts";
import type { MessageSender } from "../stream/message-sender.ts";
import { emptyWriter } from "../stream/payload.ts";
import { isMessageSource, pump } from "../stream/pump.ts";
import type { MessageCodec } from "../codec/message-codec.ts";

import type { Served } from "./handler.ts";
import {
  intercept,
  interceptedRequest,
  type InterceptedResponse,
  type Interceptor,
} from "./interceptor.ts";
import { mapMessages, message } from "./messages.ts";
import type { PeerServices } from "./peer-services.ts";
import type { Method, UnaryMethod } from "./service.ts";
import { streamFlags } from "./stream-flags.ts";

interface Entry {
  readonly service: string;
  version: number;
  readonly method: Method<object>;
  readonly handler: object;
}

export interface DispatcherOptions {
  /** Calls beyond it wait until one of the others is through. Nested ones do not wait. */
  readonly maxRunningHandlers: number;
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** The objects that calls may be for, and what contexts reach. */
  readonly peer?: PeerServices | undefined;
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
  // By object, made when it is first called.
  readonly #objectEntries = new WeakMap<Served, readonly Entry[]>();
  readonly #interceptors: readonly Interceptor[];
  readonly #peer: PeerServices | undefined;
  readonly #maxRunningHandlers: number;
  readonly #waiting = new Set<Waiting>();
  #runningCount = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(served: readonly Served[], options: DispatcherOptions) {
    this.#entries = served.flatMap(entriesOf);
    this.#maxRunningHandlers = options.maxRunningHandlers;
    this.#interceptors = options.interceptors ?? [];
    this.#peer = options.peer;
  }

  /** From now on calls of the service are of this version. */
  agree(service: string, version: number): void {
    for (const entry of this.#entries) if (entry.service === service) entry.version = version;
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
    const entry = call.objectId === 0 ? this.#entries[call.methodId] : this.#objectEntry(call);
    if (entry === undefined) {
      call.fail(this.#missing(call));
      return;
    }
    const { kind, input } = entry.method;
    call.service = entry.service;
    call.method = entry.method.name;
    call.version = entry.version;
    call.peer = this.#peer;
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
    if (blocked.isBlocked) {
      // It takes no place: it is through when it returns.
      this.#runBlocked(entry, call, request);
    } else if (this.#runningCount < this.#maxRunningHandlers || call.isNested) {
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
    if (this.#interceptors.length > 0) {
      this.#wait(call, this.#runIntercepted(entry, call, request), () => {});
      return;
    }
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
      const sent = stream(entry, call, call.sender, result);
      this.#wait(call, sent, () => call.respond(emptyWriter, undefined));
    } else if (isPromised) {
      // Through Promise.resolve, which gives a promise back as it is, and makes one that settles
      // once of anything else that has a `then`.
      this.#wait(call, Promise.resolve(result), (value) => answer(entry, call, value));
    } else {
      answer(entry, call, result);
    }
  }

  // Between two chunks of frames, so that the handler may block in its turn; and at once, since no
  // promise settles before the caller has its answer, which may depend on this.
  #runBlocked(entry: Entry, call: IncomingCall, request: unknown): void {
    const { handler, method } = entry;
    if (method.kind !== "unary" || this.#interceptors.length > 0) {
      call.fail(needsLoop(call, method.kind === "unary" ? "goes through interceptors" : "streams"));
      return;
    }
    call.defer();
    blocked.add(() => {
      if (call.isAnswered) return;
      try {
        const result: unknown = method.handle(handler, request as never, call);
        if (!isThenable(result)) return answer(entry, call, result);
        call.fail(needsLoop(call, "returned a promise"));
        // Its handler has its answer: what becomes of it is nobody's concern.
        Promise.resolve(result).catch(() => {});
      } catch (error) {
        call.fail(error);
      }
    });
  }

  // The handler is at work until the promise settles.
  #wait(call: IncomingCall, promise: Promise<unknown>, onResult: (value: unknown) => void): void {
    this.#runningCount += 1;
    call.defer();
    promise.then(
      (value) => {
        onResult(value);
        this.#finished();
      },
      (error) => {
        call.fail(error);
        this.#finished();
      },
    );
  }

  #objectEntry(call: IncomingCall): Entry | undefined {
    const served = this.#peer?.object(call.objectId);
    if (served === undefined) return undefined;
    let entries = this.#objectEntries.get(served);
    if (entries === undefined) {
      entries = entriesOf(served);
      this.#objectEntries.set(served, entries);
    }
    return entries[call.methodId];
  }

  #missing({ objectId, methodId }: IncomingCall): PlugError {
    const served = objectId === 0 ? undefined : this.#peer?.object(objectId);
    if (objectId === 0 || served !== undefined) {
      const where = served === undefined ? "here" : `in ${served.service.typeName}`;
      return new PlugError("unimplemented", `there is no method ${methodId} ${where}`);
    }
    const why = `there is no object ${objectId} here, or it has been let go of`;
    return new PlugError("not_found", why);
  }

  // Through the interceptors to the handler and back. Resolves when the call is answered.
  async #runIntercepted(entry: Entry, call: IncomingCall, request: unknown): Promise<void> {
    const { method, handler, service } = entry;
    const seen = interceptedRequest(method, service, call.requestHeaders, call, request);
    const response = await intercept(this.#interceptors, seen, async (passed) => {
      call.requestHeaders = passed.headers;
      const result = method.handle(handler, passed.message as never, call);
      return {
        headers: call.responseHeaders,
        trailers: call.responseTrailers,
        message:
          call.sender === undefined
            ? responseMessage(entry, call, await result)
            : streamMessages(entry, call, result),
      } as InterceptedResponse;
    });
    call.sentHeaders = response.headers;
    call.sentTrailers = response.trailers;
    if (call.sender === undefined) {
      call.respond(method.output, response.message);
    } else {
      await stream(entry, call, call.sender, response.message);
      call.respond(emptyWriter, undefined);
    }
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

function entriesOf({ service, handler, version }: Served): readonly Entry[] {
  return service.methods.map((method) => ({
    service: service.typeName,
    version: version ?? service.version,
    method,
    handler,
  }));
}

function answer(entry: Entry, call: IncomingCall, result: unknown): void {
  try {
    call.respond(entry.method.output, responseMessage(entry, call, result));
  } catch (error) {
    call.fail(error);
  }
}

// @throws {PlugError} `internal`: what the handler returned is not a response.
function responseMessage({ method }: Entry, call: IncomingCall, result: unknown): unknown {
  const { output, pack } = method as UnaryMethod<
    object,
    DescMessage,
    DescMessage,
    unknown,
    unknown
  >;
  try {
    return message(output, pack(result));
  } catch (error) {
    throw responseFailure(call, error);
  }
}

// What a handler gives, as messages, for interceptors.
function streamMessages(
  { method: { output } }: Entry,
  call: IncomingCall,
  source: unknown,
): AsyncIterable<unknown> {
  if (!isMessageSource(source)) throw notIterable(call);
  return mapMessages(source, (init) => streamMessage(output, call, init));
}

// Resolves when all messages have gone out.
async function stream(
  { method: { output } }: Entry,
  call: IncomingCall,
  sender: MessageSender,
  messages: unknown,
): Promise<void> {
  if (!isMessageSource(messages)) throw notIterable(call);
  await pump(messages, sender, (init) => {
    const value = streamMessage(output, call, init);
    try {
      sender.send(output, value);
    } catch (error) {
      throw responseFailure(call, error);
    }
  });
  // A deadline of the call has passed; one that was given up has its answer already.
  if (sender.stopReason !== undefined) throw sender.stopReason;
}

function notIterable(call: IncomingCall): PlugError {
  return responseFailure(call, new TypeError("it is not iterable"));
}

function streamMessage<T, Init>(
  codec: MessageCodec<T, Init>,
  call: IncomingCall,
  init: unknown,
): T {
  try {
    return message(codec, init as Init);
  } catch (error) {
    throw responseFailure(call, error);
  }
}

function wrongKind(call: IncomingCall, kind: string): PlugError {
  return new PlugError(
    "unimplemented",
    `${call.service}.${call.method} is ${kind.replace("_", " ")} here, and the caller takes it for something else`,
  );
}

function needsLoop(call: IncomingCall, what: string): PlugError {
  return new PlugError(
    "failed_precondition",
    `a blocking call waits in this process, and the handler of ${call.name} ${what}, which needs the event loop`,
  );
}

function isThenable(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { readonly then?: unknown }).then === "function"
  );
}
