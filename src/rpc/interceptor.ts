// What stands between a caller and its call, or between a call and its handler.

import type { Message } from "@bufbuild/protobuf";

import { PlugError } from "../error/plug-error.ts";
import { Metadata } from "../metadata/metadata.ts";
import type { CallOptions } from "./call-options.ts";
import type { Method } from "./service.ts";

interface InterceptedCall {
  /** The service's full name, such as `"example.KV"`. */
  readonly service: string;
  /** The rpc's name in the `.proto`, such as `"Get"`. */
  readonly method: string;
  /** Of the request: may be changed on the way. */
  readonly headers: Metadata;
  /**
   * What the caller said; where the call is handled, its `CallContext`. On the caller's side
   * `timeoutMs` and `signal` may be added or made stricter: `next({ ...request, options: {
   * ...request.options, timeoutMs: 50 } })`. Callbacks and `headers` in it are not looked at again.
   */
  readonly options: CallOptions;
}

/** A call on its way to its handler. A stream can be iterated once. */
export type InterceptedRequest = InterceptedCall &
  (
    | { readonly kind: "unary" | "server_streaming"; readonly message: Message }
    | {
        readonly kind: "client_streaming" | "bidi_streaming";
        readonly message: AsyncIterable<Message>;
      }
  );

/** What comes back of it. */
export interface InterceptedResponse {
  /** Complete once the response, or the first message of a stream, is there. */
  readonly headers: Metadata;
  /** Complete once the response, or the end of a stream, is there. */
  readonly trailers: Metadata;
  /** The response; for an rpc that streams to its caller, the messages. */
  readonly message: Message | AsyncIterable<Message>;
}

/** The rest of the way. It may be called again, with a request whose stream has not been iterated. */
export type NextInterceptor = (request: InterceptedRequest) => Promise<InterceptedResponse>;

/**
 * Sees each call, and may change it, answer in its place, or try it again. Interceptors are called
 * in the order in which they are given, the first one outermost.
 *
 * @example
 * const timed: Interceptor = async (request, next) => {
 *   const startedAt = performance.now();
 *   try {
 *     return await next(request);
 *   } finally {
 *     console.log(request.method, performance.now() - startedAt);
 *   }
 * };
 */
export type Interceptor = (
  request: InterceptedRequest,
  next: NextInterceptor,
) => Promise<InterceptedResponse>;

/** Goes through the interceptors, and then to `last`. */
export async function intercept(
  interceptors: readonly Interceptor[],
  request: InterceptedRequest,
  last: NextInterceptor,
): Promise<InterceptedResponse> {
  async function from(i: number, passed: InterceptedRequest): Promise<InterceptedResponse> {
    const interceptor = interceptors[i];
    if (interceptor === undefined) return last(passed);
    const response = await interceptor(passed, (next) => from(i + 1, next));
    if (isResponse(response)) return response;
    throw new PlugError(
      "internal",
      `interceptor ${i + 1} of ${passed.service}.${passed.method} gave no response; return what next(request) gives`,
    );
  }
  return from(0, request);
}

function isResponse(response: Partial<InterceptedResponse> | undefined | null): boolean {
  return (
    response?.headers instanceof Metadata &&
    response.trailers instanceof Metadata &&
    response.message !== undefined
  );
}

/** What interceptors see of a call. */
export function interceptedRequest(
  { kind, name }: Method<never>,
  service: string,
  headers: Metadata,
  options: CallOptions,
  message: unknown,
): InterceptedRequest {
  return { service, method: name, kind, headers, options, message } as InterceptedRequest;
}
