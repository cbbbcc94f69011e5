// The client of callers who block: unary rpcs as plain functions.

import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";

import type { Route } from "../call/outgoing-call.ts";
import { PlugError } from "../error/plug-error.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";
import { bind, type Binding, type MethodIds } from "./bound-service.ts";
import type { CallOptions } from "./call-options.ts";
import { message } from "./messages.ts";
import type { Caller, Method, Service, UnaryMethod } from "./service.ts";

/**
 * A client, as it is for callers who block: its unary rpcs return what the promise would resolve
 * with, and throw what it would reject with. Those that stream are not there. Of the clients of
 * several services, an object of such clients.
 */
export type Sync<C> = {
  readonly [K in keyof C as SyncKey<K, C[K]>]: C[K] extends (...args: infer A) => infer R
    ? (...args: A) => Awaited<R>
    : Sync<C[K]>;
};

// Not what streams out, nor what streams in: the first argument of that takes any AsyncIterable.
type SyncKey<K, F> = K extends string
  ? F extends (...args: any) => AsyncIterable<unknown>
    ? never
    : F extends (first: infer A, ...rest: any) => unknown
      ? unknown extends A
        ? K
        : AsyncIterable<never> extends A
          ? never
          : K
      : K
  : never;

/** Where the calls of such a client go. */
export interface BlockingTarget {
  /** Returns with the response. @throws {PlugError} What the call ended with. */
  callBlocking<T, R>(
    route: Route,
    writer: PayloadWriter<T>,
    value: T,
    reader: PayloadReader<R>,
    options: CallOptions | undefined,
  ): R;
  close(): Promise<void>;
}

/** The client of one service. */
export function blockingClient<C extends object, H extends object>(
  service: Service<C, H>,
  methodIds: MethodIds,
  target: BlockingTarget,
): Sync<C> {
  return new service.client(new BlockingService(service, methodIds, target)) as unknown as Sync<C>;
}

// Generated clients hand on what their caller returns, so it need not be a promise.
class BlockingService implements Caller {
  readonly #service: string;
  readonly #target: BlockingTarget;
  readonly #bindings: ReadonlyMap<Method<never>, Binding>;

  constructor(service: Service<object, never>, methodIds: MethodIds, target: BlockingTarget) {
    const { typeName, methods } = service;
    this.#service = typeName;
    this.#target = target;
    this.#bindings = new Map(
      methods.map((method) => [
        method,
        bind(typeName, method, methodIds.get(method.name), 0, false),
      ]),
    );
  }

  unary<I extends DescMessage, O extends DescMessage, A, R>(
    method: UnaryMethod<never, I, O, A, R>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<R> {
    const { route, reader } = this.#bindings.get(method) as Binding;
    if (route === undefined) {
      throw new PlugError(
        "unimplemented",
        `the plugin does not have ${this.#service}.${method.name}`,
      );
    }
    const value = message(method.input, request);
    return this.#target.callBlocking(route, method.input, value, reader, options) as Promise<R>;
  }

  serverStreaming(method: Method<never>): never {
    throw this.#streams(method);
  }

  clientStreaming(method: Method<never>): never {
    throw this.#streams(method);
  }

  bidiStreaming(method: Method<never>): never {
    throw this.#streams(method);
  }

  close(): Promise<void> {
    return this.#target.close();
  }

  #streams({ name }: Method<never>): PlugError {
    return new PlugError(
      "unimplemented",
      `${this.#service}.${name} streams, and callers who block have unary rpcs alone`,
    );
  }
}
