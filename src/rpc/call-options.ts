// What can be said with a call, on either side of it.

import type { Metadata, MetadataInit } from "../metadata/metadata.ts";
import type { Ref } from "./ref.ts";
import type { Service } from "./service.ts";

/** Options of one call. All are optional, and absent ones cost nothing. */
export interface CallOptions {
  /**
   * Gives the call up when it aborts: the call rejects with `cancelled`, and the plugin is told.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds from now after which the call rejects with `deadline_exceeded`; the plugin is
   * told. The time that a call waits for its turn counts.
   *
   * @defaultValue no deadline. Valid: 0 to 2^31 - 1.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Names and values for the handler, beside the message. Not sent to plugins built with the Go
   * original, whose protocol has no place for them.
   *
   * @defaultValue none
   */
  readonly headers?: MetadataInit | undefined;
  /**
   * Told the handler's headers, once, before the first message or the response. What it throws is
   * the end of the call.
   */
  readonly onHeader?: ((headers: Metadata) => void) | undefined;
  /** Told the handler's trailers, once, before the call settles by an answer or a handler's error. */
  readonly onTrailer?: ((trailers: Metadata) => void) | undefined;
  /**
   * The call on whose behalf this one is made, in a handler: `{ context, timeoutMs: 50 }`. This one
   * is then given up with it, has no later deadline, and carries its trace context (`traceparent`,
   * `tracestate`, `baggage`). If it goes back to where that call came from, it does not wait for a
   * place (see `maxNestedCalls`).
   *
   * @defaultValue none: nothing is inherited
   */
  readonly context?: CallContext | undefined;
}

/**
 * What a handler gets as its last argument. It is a valid {@link CallOptions}: calls made with it
 * are made on behalf of this one. Pass the context itself, or `{ context, … }`; a spread of it,
 * `{ ...context }`, is refused.
 */
export interface CallContext extends CallOptions {
  /** Aborts when the caller gives the call up, its deadline passes, or the connection ends. */
  readonly signal: AbortSignal;
  /** Milliseconds that are left until the deadline, at least 0; undefined without a deadline. */
  readonly timeoutMs: number | undefined;
  /** The service's full name, such as `"example.KV"`. */
  readonly service: string;
  /** The rpc's name in the `.proto`, such as `"Get"`. */
  readonly method: string;
  /** The service's version that host and plugin agreed on. */
  readonly version: number;
  /** What the caller sent as `headers`. */
  readonly requestHeaders: Metadata;
  /** To be filled before the first message or the response. */
  readonly responseHeaders: Metadata;
  /** To be filled before the call's end. With an error, those that are too long are left out. */
  readonly responseTrailers: Metadata;
  /** As options of another call: trace context alone. */
  readonly headers: Metadata | undefined;
  /** Itself. */
  readonly context: CallContext;

  /**
   * A client of a service that the host offers. It costs next to nothing, and may be kept.
   *
   * @throws {PlugError} `unimplemented`: the host does not offer it, or not in this version.
   */
  host<C extends object>(service: Service<C, never>): C;

  /**
   * A reference to an object of this side, for a message to the other. It holds the object until
   * the other side lets go of it, it is disposed, or the connection ends.
   *
   * @throws {PlugError} `resource_exhausted`: there are `maxReferences` already.
   * @throws {PlugError} `invalid_argument`: the handler lacks a method.
   */
  refer<H extends object>(service: Service<object, H>, handler: H): Ref & Disposable;

  /**
   * A client of the object that a message of the other side refers to. It holds the object until
   * it is disposed or collected, or the connection ends. A reference has one holder: another one
   * needs another reference.
   *
   * @throws {PlugError} `invalid_argument`: a reference of another service, or of none.
   * @throws {PlugError} `failed_precondition`: a reference of another connection, or to an object
   *   of this side.
   */
  resolve<C extends object>(service: Service<C, never>, ref: Ref | undefined): C & AsyncDisposable;
}
