// What generated code imports, and nothing else does. Checked-in generated files rely on every
// name here: a change that they cannot follow goes into a codegen-v2.ts beside this file.

import "./platform.ts";

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
export { loadService, loadServiceSync } from "./host/load-plugin.ts";
export type { LoadOptions } from "./host/load-options.ts";
export { runService } from "./plugin/run-plugin.ts";
export type { RunOptions } from "./plugin/run-options.ts";
export type { Sync } from "./rpc/blocking-service.ts";
export type { CallContext, CallOptions } from "./rpc/call-options.ts";
export type {
  BidiStreamingMethod,
  Caller,
  ClientStreamingMethod,
  ServerStreamingMethod,
  Service,
  UnaryMethod,
} from "./rpc/service.ts";
export type { MessageSource } from "./stream/pump.ts";
export { testService, type TestOptions } from "./testing.ts";
