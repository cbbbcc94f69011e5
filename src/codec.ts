// The codec alone, for programs that use messages without services: protoc-gen-plug with
// codec=only prints files that import this entry.

import "./platform.ts";

export { allocate } from "./codec/allocate.ts";
export { bytes, rawString, string } from "./codec/scalar/bytes.ts";
export { double, fixed32, float, sfixed32 } from "./codec/scalar/fixed.ts";
export { genericCodec } from "./codec/generic-codec.ts";
export { fixed64, int64, isZero, sfixed64, sint64, uint64, zero64 } from "./codec/scalar/int64.ts";
export { bytesOf, isMade, listOf, mapOf } from "./codec/init.ts";
export type { MessageCodec } from "./codec/message-codec.ts";
export { notEncodable, requiredIsUnset } from "./codec/not-encodable.ts";
export { has, withDefaults } from "./codec/presence.ts";
export { type Reader, reader } from "./codec/reader.ts";
export { beginSize, beginWrite, held, hold, writeHeld } from "./codec/sizes.ts";
export { setEntry, structFromJson, structToJson } from "./codec/struct.ts";
export { unknownSize, writeUnknown } from "./codec/unknown-fields.ts";
export { bool, int32, sint32, uint32 } from "./codec/scalar/varint.ts";
