// `bun-plug`: for hosts.

import "./platform.ts";

export {
  codeFromConnect,
  codeFromGrpc,
  connectCode,
  type ErrorCode,
  type ErrorCodeInfo,
  errorCodes,
  type Retry,
} from "./error/error-code.ts";
export {
  type ErrorDetail,
  isPlugError,
  PlugError,
  type PlugErrorOptions,
  type ProcessEnd,
} from "./error/plug-error.ts";
export type { Limits } from "./call/limits.ts";
export type { LoadOptions, PluginLine } from "./host/load-options.ts";
export {
  type Clients,
  loadPlugin,
  loadPluginSync,
  pluginOf,
  type ServiceMap,
} from "./host/load-plugin.ts";
export type { PluginHandle, PluginProcess, PluginStats } from "./host/plugin-handle.ts";
export { Metadata, type MetadataInit, type MetadataValue } from "./metadata/metadata.ts";
export type { Sync } from "./rpc/blocking-service.ts";
export type { CallContext, CallOptions } from "./rpc/call-options.ts";
export type { Pair } from "./rpc/handler.ts";
export type {
  InterceptedRequest,
  InterceptedResponse,
  Interceptor,
  NextInterceptor,
} from "./rpc/interceptor.ts";
export type { PeerOptions } from "./rpc/peer-options.ts";
export type { Ref } from "./rpc/ref.ts";
export type { Service } from "./rpc/service.ts";
export type { VersionsOption } from "./rpc/versions.ts";
export type { MessageSource } from "./stream/pump.ts";
