// A reference to an object on one side of a connection, as it travels in messages.

import { PlugError } from "../error/plug-error.ts";

/** The message `plugpb.Ref` of plug.proto. */
export interface Ref {
  readonly $typeName: "plugpb.Ref";
  /** Among the objects of the side that made it. */
  readonly object: number;
  /** Which side of which connection that is. */
  readonly origin: number;
  /** Full name of the service that the object has. */
  readonly service: string;
}

/** @throws {PlugError} `invalid_argument`: it is no reference to an object of that service. */
export function checkedRef(ref: unknown, service: string): Ref {
  const { $typeName, service: actual } = (ref ?? {}) as Partial<Ref>;
  if ($typeName !== "plugpb.Ref") {
    throw new PlugError("invalid_argument", "resolve takes a plugpb.Ref, and this is none");
  }
  if ((ref as Ref).object === 0) {
    throw new PlugError("invalid_argument", "the reference is to object 0, which there never is");
  }
  if (actual === service) return ref as Ref;
  throw new PlugError("invalid_argument", `the reference is of ${actual}, and not of ${service}`);
}
