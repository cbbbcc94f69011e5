// Doc comments that are not in the .proto file.

import type { DescService } from "@bufbuild/protobuf";

/** A sentence of ours about a service, with the marks that protobuf-es gives its declarations. */
export function serviceText(service: DescService, sentence: string): string {
  const deprecated = service.deprecated || service.file.deprecated;
  const mark = deprecated ? "\n@deprecated" : "";
  return `${sentence}\n\n@generated from ${service.toString()}${mark}`;
}
