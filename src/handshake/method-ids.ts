// Which method ids the services of the peer have.

import { PlugError } from "../error/plug-error.ts";
import { firstObjectMethodId } from "../frame/frame-header.ts";
import type { HelloService } from "./hello.ts";

/**
 * Checks what the peer says of services that it answers for. One may be named again, with the ids
 * that it has.
 *
 * @throws {PlugError} `handshake_mismatch`: an id of 32,768 or more, or one of two services.
 */
export function checkMethodIds(services: readonly HelloService[], runtime: string): void {
  const inOrder = services
    .filter(({ methods }) => methods.length > 0)
    .toSorted((a, b) => a.firstMethodId - b.firstMethodId);
  let before: HelloService | undefined;
  for (const service of inOrder) {
    const { name, firstMethodId } = service;
    const end = endOf(service);
    if (end > firstObjectMethodId) {
      throw mismatch(
        `${name} has the method ids ${firstMethodId} to ${end - 1}, and the last one there is is ${firstObjectMethodId - 1}`,
      );
    }
    if (before !== undefined && firstMethodId < endOf(before) && !isSame(before, service)) {
      throw mismatch(`${before.name} and ${name} both have the method id ${firstMethodId}`);
    }
    before = service;
  }

  function mismatch(what: string): PlugError {
    return new PlugError("handshake_mismatch", `the method ids of the peer (${runtime}): ${what}`);
  }
}

function endOf({ firstMethodId, methods }: HelloService): number {
  return firstMethodId + methods.length;
}

function isSame(a: HelloService, b: HelloService): boolean {
  return a.name === b.name && a.firstMethodId === b.firstMethodId && endOf(a) === endOf(b);
}
