// Refuses what cannot be generated: all of it at once, so that one run shows everything.

import type { DescFile, DescService } from "@bufbuild/protobuf";

import { InputError, named } from "./problem.ts";

/**
 * Most rpcs of one service. On wire 1 the lower byte of a frame's id is the rpc's position, 0xFF is
 * the handshake, and the Go original stops here too: beyond it, one of the two could not speak the
 * service.
 */
export const maxMethodCount = 250;

/** Most services of one file: on wire 1 the upper byte is the position, and 0xFF is an error. */
export const maxServiceCount = 255;

/**
 * @throws {InputError} with a line for each problem, in the order of the files.
 */
export function checkFiles(files: readonly DescFile[]): void {
  const problems = files.flatMap((file) => file.services.flatMap(serviceProblems));
  if (problems.length > 0) throw new InputError(problems.join("\n"));
}

function serviceProblems(service: DescService, index: number): string[] {
  const problems: string[] = [];
  if (index >= maxServiceCount) {
    problems.push(`${named(service)}: a file may have at most ${maxServiceCount} services`);
  }
  if (service.methods.length > maxMethodCount) {
    problems.push(
      `${named(service)}: has ${service.methods.length} rpcs, and at most ${maxMethodCount} are possible`,
    );
  }
  return problems;
}
