// What is wrong with the input, said so that the author of a `.proto` file finds the place.
//
// Knows descriptors only. Must not know what is printed.

import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { getComments } from "@bufbuild/protoplugin";

/** The input cannot be generated from. Everything else that is thrown is a fault of ours. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** `kv.proto:12`, or the file alone if the compiler sent no positions. */
export function place(desc: DescMethod | DescService): string {
  const file = (desc.kind === "rpc" ? desc.parent : desc).file.proto;
  const path = getComments(desc).sourcePath;
  const location = file.sourceCodeInfo?.location.find(
    (candidate) =>
      candidate.path.length === path.length &&
      candidate.path.every((step, index) => step === path[index]),
  );
  const line = location?.span[0];
  // Descriptors count lines from 0, editors from 1.
  return line === undefined ? file.name : `${file.name}:${line + 1}`;
}

/** `kv.proto:12: rpc example.KV.Get`. */
export function named(desc: DescMethod | DescService): string {
  return desc.kind === "rpc"
    ? `${place(desc)}: rpc ${desc.parent.typeName}.${desc.name}`
    : `${place(desc)}: service ${desc.typeName}`;
}
