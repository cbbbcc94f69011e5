// What a service says about itself by the options of plug.proto.

import { type DescExtension, type DescFile, type DescService, getOption } from "@bufbuild/protobuf";

import { Calls, calls, magic, version } from "../gen/plug_pb.ts";
import type { CallStyle } from "./options.ts";

export interface ServiceOptions {
  readonly magic: string;
  readonly version: number;
  /** Undefined leaves the choice to the generator's option. */
  readonly calls: CallStyle | undefined;
}

const styles: Partial<Record<number, CallStyle>> = {
  [Calls.UNWRAPPED]: "unwrapped",
  [Calls.MESSAGES]: "messages",
};

/** `files` are all of the run, imports too. */
export function serviceOptions(service: DescService, files: readonly DescFile[]): ServiceOptions {
  const read = <Value>(extension: DescExtension, value: Value): Value | undefined =>
    isForeign(extension, files) ? undefined : value;
  return {
    // Empty and 0 count as left out: the Go original cannot tell them apart.
    magic: read(magic, getOption(service, magic)) || "magic",
    version: read(version, getOption(service, version)) || 1,
    calls: styles[read(calls, getOption(service, calls)) ?? Calls.CALLS_UNSPECIFIED],
  };
}

// The numbers are from the range that anybody may use within a company, so somebody else's option
// of the same number can be there instead of ours.
function isForeign(extension: DescExtension, files: readonly DescFile[]): boolean {
  return files.some((file) =>
    file.extensions.some(
      (other) =>
        other.extendee.typeName === extension.extendee.typeName &&
        other.number === extension.number &&
        other.typeName !== extension.typeName,
    ),
  );
}
