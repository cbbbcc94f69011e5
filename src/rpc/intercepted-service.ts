// A client's calls, through interceptors.

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

import { Metadata } from "../metadata/metadata.ts";
import type { MessageSource } from "../stream/pump.ts";
import { type AttemptOptions, unlessOver } from "./call-end.ts";
import type { CallOptions } from "./call-options.ts";
import {
  intercept,
  interceptedRequest,
  type InterceptedResponse,
  type Interceptor,
} from "./interceptor.ts";
import { iterableOnce, mapMessages, message, messagesLater } from "./messages.ts";
import type {
  BidiStreamingMethod,
  Caller,
  ClientStreamingMethod,
  Method,
  ServerStreamingMethod,
  UnaryMethod,
} from "./service.ts";

export class InterceptedService implements Caller {
  readonly #service: string;
  readonly #caller: Caller;
  readonly #interceptors: readonly Interceptor[];

  /** `caller` gives responses as messages. */
  constructor(service: string, caller: Caller, interceptors: readonly Interceptor[]) {
    this.#service = service;
    this.#caller = caller;
    this.#interceptors = interceptors;
  }

  async unary<I extends DescMessage, O extends DescMessage, A, R>(
    method: UnaryMethod<never, I, O, A, R>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<R> {
    const value = message(method.input, request);
    const response = await this.#pass(method, value, options, (passed, terms) =>
      this.#caller.unary(method, passed as MessageInitShape<I>, terms),
    );
    return method.unpack(response.message as MessageShape<O>);
  }

  serverStreaming<I extends DescMessage, O extends DescMessage>(
    method: ServerStreamingMethod<never, I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    return iterableOnce(() => {
      const value = message(method.input, request);
      const response = this.#pass(method, value, options, (passed, terms) =>
        this.#caller.serverStreaming(method, passed as MessageInitShape<I>, terms),
      );
      return messagesLater(messagesOf<O>(response));
    });
  }

  async clientStreaming<I extends DescMessage, O extends DescMessage, A, R>(
    method: ClientStreamingMethod<never, I, O, A, R>,
    messages: MessageSource<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<R> {
    const source = mapMessages(messages, (init) => message(method.input, init));
    const response = await this.#pass(method, source, options, (passed, terms) =>
      this.#caller.clientStreaming(method, passed as typeof messages, terms),
    );
    return method.unpack(response.message as MessageShape<O>);
  }

  bidiStreaming<I extends DescMessage, O extends DescMessage>(
    method: BidiStreamingMethod<never, I, O>,
    messages: MessageSource<MessageInitShape<I>>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    return iterableOnce(() => {
      const source = mapMessages(messages, (init) => message(method.input, init));
      const response = this.#pass(method, source, options, (passed, terms) =>
        this.#caller.bidiStreaming(method, passed as typeof messages, terms),
      );
      return messagesLater(messagesOf<O>(response));
    });
  }

  close(): Promise<void> {
    return this.#caller.close();
  }

  // `place` places the call with what the interceptors have let through. They have, with all that
  // they try, no more time than the call.
  #pass(
    method: Method<never>,
    value: unknown,
    options: CallOptions = {},
    place: (message: unknown, terms: CallOptions) => unknown,
  ): Promise<InterceptedResponse> {
    const service = this.#service;
    const headers = new Metadata(options.headers);
    const request = interceptedRequest(method, service, headers, options, value);
    return unlessOver(`${service}.${method.name}`, options, (timeLeft) =>
      intercept(this.#interceptors, request, async (passed) => {
        const told = { headers: new Metadata(), trailers: new Metadata() };
        const answer = await place(passed.message, {
          ...attemptOptions(timeLeft(), passed.options === options ? {} : passed.options),
          headers: passed.headers,
          onHeader: (metadata) => {
            addTo(told.headers, metadata);
            options.onHeader?.(metadata);
          },
          onTrailer: (metadata) => {
            addTo(told.trailers, metadata);
            options.onTrailer?.(metadata);
          },
        });
        return { ...told, message: answer } as InterceptedResponse;
      }),
    );
  }
}

// What an interceptor has put into the options counts beside what the caller has.
function attemptOptions(left: AttemptOptions, passed: CallOptions): AttemptOptions {
  // A context in their place tells by itself when it ends.
  const isContext = (passed.context as unknown) === passed;
  const { timeoutMs, signal } = isContext ? {} : passed;
  const timeouts = [left.timeoutMs, timeoutMs].filter((one) => one !== undefined);
  const signals = new Set([left.signal, signal].filter((one) => one !== undefined));
  return {
    context: left.context ?? passed.context,
    timeoutMs: timeouts.length === 0 ? undefined : Math.min(...timeouts),
    signal: signals.size > 1 ? AbortSignal.any([...signals]) : [...signals][0],
  };
}

function addTo(metadata: Metadata, added: Metadata): void {
  for (const [name, value] of added) metadata.append(name, value);
}

async function messagesOf<O extends DescMessage>(
  response: Promise<InterceptedResponse>,
): Promise<AsyncIterable<MessageShape<O>>> {
  return (await response).message as AsyncIterable<MessageShape<O>>;
}
