// The services of the .proto files, as grpc-js wants them; the same on both sides.

import {
  type ChannelOptions,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { join } from "node:path";

export interface Element {
  readonly data: Uint8Array;
}

const root = join(import.meta.dir, "../../..");

/** Where the .proto files are. A compiled plugin cannot know it, so the host tells it. */
export const protoFolders = ["bench/proto", "example/proto", "codegen/proto"].map((folder) =>
  join(root, folder),
);

/** Without a limit on messages, which is 4 MiB otherwise. */
export const channelOptions: ChannelOptions = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
};

export function services(includeDirs: readonly string[]): {
  readonly KV: ServiceClientConstructor;
  readonly Stream: ServiceClientConstructor;
} {
  const definition = loadSync(["bench.proto", "example.proto"], {
    includeDirs: [...includeDirs],
    longs: Number,
    defaults: true,
  });
  const { bench, example } = loadPackageDefinition(definition) as unknown as {
    bench: { Stream: ServiceClientConstructor };
    example: { KV: ServiceClientConstructor };
  };
  return { KV: example.KV, Stream: bench.Stream };
}

/** The sending half of a stream, on either side. */
export interface Writable {
  write(element: Element): boolean;
  once(event: "drain", listener: () => void): unknown;
  end(): unknown;
}

/** Sends all of them, no faster than they are taken. */
export async function writeAll(
  call: Writable,
  elements: Iterable<Element> | AsyncIterable<Element>,
): Promise<void> {
  for await (const element of elements) {
    if (!call.write(element)) await new Promise<void>((resolve) => call.once("drain", resolve));
  }
  call.end();
}
