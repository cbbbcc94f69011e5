// The messages that the conformance suite is about: their codecs by name, and their files.

import type { DescFile, Message } from "@bufbuild/protobuf";
import {
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import type { MessageCodec } from "bun-plug/codec";

import * as edition2023 from "./gen/google/protobuf/test_messages_edition2023_codec.ts";
import { file_google_protobuf_test_messages_edition2023 } from "./gen/google/protobuf/test_messages_edition2023_pb.ts";
import * as proto2 from "./gen/google/protobuf/test_messages_proto2_codec.ts";
import { file_google_protobuf_test_messages_proto2 } from "./gen/google/protobuf/test_messages_proto2_pb.ts";
import * as proto2Editions from "./gen/google/protobuf/test_messages_proto2_editions_codec.ts";
import { file_google_protobuf_test_messages_proto2_editions } from "./gen/google/protobuf/test_messages_proto2_editions_pb.ts";
import * as proto3 from "./gen/google/protobuf/test_messages_proto3_codec.ts";
import { file_google_protobuf_test_messages_proto3 } from "./gen/google/protobuf/test_messages_proto3_pb.ts";
import * as proto3Editions from "./gen/google/protobuf/test_messages_proto3_editions_codec.ts";
import { file_google_protobuf_test_messages_proto3_editions } from "./gen/google/protobuf/test_messages_proto3_editions_pb.ts";

/** By the message's full name. */
export const codecs: ReadonlyMap<string, MessageCodec<Message, never>> = new Map(
  [edition2023, proto2, proto2Editions, proto3, proto3Editions]
    .flatMap((module): unknown[] => Object.values(module))
    .filter((value) => typeof value === "object")
    .map((codec) => codec as MessageCodec<Message, never>)
    .map((codec) => [codec.typeName, codec]),
);

/** The messages' files, and those of the types that an Any may hold. */
export const files: readonly DescFile[] = [
  file_google_protobuf_test_messages_edition2023,
  file_google_protobuf_test_messages_proto2,
  file_google_protobuf_test_messages_proto2_editions,
  file_google_protobuf_test_messages_proto3,
  file_google_protobuf_test_messages_proto3_editions,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
];
