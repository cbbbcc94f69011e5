// What generated code imports, and nothing else does. Checked-in generated files rely on every
// name here: a change that they cannot follow goes into a codegen-v2.ts beside this file.

import "./platform.ts";

export { genericCodec } from "./codec/generic-codec.ts";
export { loadService } from "./host/load-plugin.ts";
export type { LoadOptions } from "./host/load-options.ts";
export { runService } from "./plugin/run-plugin.ts";
export type { RunOptions } from "./plugin/run-options.ts";
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
