// Which versions of a service a side works with.

import { PlugError } from "../error/plug-error.ts";
import type { Service } from "./service.ts";

/**
 * Versions of a service that this side can work with; the highest that both have is agreed on. For
 * several services: by full name.
 */
export type VersionsOption = readonly number[] | Readonly<Record<string, readonly number[]>>;

/**
 * The versions of one service of several: those of the option, or else the one of its `.proto`.
 *
 * @throws {PlugError} `invalid_argument`: they are no versions, or it is not said whose they are.
 */
export function versionsOf(
  { typeName, version }: Pick<Service<object, never>, "typeName" | "version">,
  option: VersionsOption | undefined,
  serviceCount: number,
): readonly number[] {
  if (option === undefined) return [version];
  if (isList(option) && serviceCount > 1) {
    throw new PlugError(
      "invalid_argument",
      `versions must be an object by full name, such as { "${typeName}": [${version}] }, where there are ${serviceCount} services`,
    );
  }
  const versions = isList(option) ? option : (option[typeName] ?? [version]);
  const isRight = Array.isArray(versions) && versions.length > 0 && versions.every(isVersion);
  if (isRight) return versions;
  throw new PlugError(
    "invalid_argument",
    `versions of ${typeName} must be whole numbers from 1 to 2^32 - 1, at least one, got [${versions}]`,
  );
}

/** The same for a service that is neither loaded nor run, which a list does not speak of. */
export function otherVersionsOf(
  service: Pick<Service<object, never>, "typeName" | "version">,
  option: VersionsOption | undefined,
): readonly number[] {
  return versionsOf(service, option === undefined || isList(option) ? undefined : option, 1);
}

function isList(option: VersionsOption): option is readonly number[] {
  return Array.isArray(option);
}

function isVersion(version: unknown): boolean {
  return Number.isInteger(version) && (version as number) >= 1 && (version as number) < 2 ** 32;
}
