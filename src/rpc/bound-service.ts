// Ties the methods of a service to where their calls go: what a generated client calls through.

import type { MessageInitShape, DescMessage } from "@bufbuild/protobuf";

import type { CallOptions } from "./call-options.ts";
import type { ClientConnection } from "../call/client-connection.ts";
import type { Route } from "../call/outgoing-call.ts";
import type { PayloadReader } from "../call/payload.ts";
import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { Caller, Method, Service, UnaryMethod } from "./service.ts";

/** The methods that the peer has, by name: what it calls them on the wire. */
export type MethodIds = ReadonlyMap<string, number>;

interface Binding {
  /** Undefined if the peer does not have the method. */
  readonly route: Route | undefined;
  readonly reader: PayloadReader<unknown>;
}

/** Where the calls of a client go. The connection may be replaced by a reason why there is none. */
export interface CallTarget {
  /** @throws {PlugError} why no call can be placed any more. */
  connection(): ClientConnection;
  close(): Promise<void>;
}

/** A caller for the client of one service. */
export function bindService<C extends object, H extends object>(
  service: Service<C, H>,
  methodIds: MethodIds,
  target: CallTarget,
): Caller {
  const bindings = new Map<Method<never>, Binding>(
    service.methods.map((method) => [
      method as Method<never>,
      bind(service.typeName, method, methodIds.get(method.name)),
    ]),
  );

  return {
    unary<I extends DescMessage, O extends DescMessage, A, R>(
      method: UnaryMethod<never, I, O, A, R>,
      request: MessageInitShape<I>,
      options?: CallOptions,
    ): Promise<R> {
      try {
        const binding = bindings.get(method);
        if (binding?.route === undefined) throw unimplemented(service.typeName, method.name);
        return target
          .connection()
          .call(
            binding.route,
            method.input,
            message(method.input, request),
            binding.reader as PayloadReader<R>,
            options,
          );
      } catch (error) {
        return Promise.reject(error);
      }
    },
    close: () => target.close(),
  };
}

function bind(service: string, method: Method<never>, methodId: number | undefined): Binding {
  const { output, unpack } = method;
  return {
    route: methodId === undefined ? undefined : { methodId, service, method: method.name },
    reader: {
      read: (buffer, from, to, owned) => unpack(output.read(buffer, from, to, owned)),
    },
  };
}

/** A message from what a user passed. @throws {PlugError} `invalid_argument`: it cannot be one. */
export function message<T, Init>(
  codec: { readonly typeName: string; from(init: Init): T },
  init: Init,
): T {
  try {
    return codec.from(init);
  } catch (error) {
    if (isPlugError(error)) throw error;
    throw new PlugError("invalid_argument", `cannot make a ${codec.typeName}: ${textOf(error)}`, {
      cause: error,
    });
  }
}

function unimplemented(service: string, method: string): PlugError {
  return new PlugError("unimplemented", `the plugin does not have ${service}.${method}`);
}
