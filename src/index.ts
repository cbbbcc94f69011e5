// `bun-plug`: for hosts.

import "./platform.ts";

export { type ErrorCode, errorCodes, type Retry } from "./error/error-code.ts";
export {
  isPlugError,
  PlugError,
  type PlugErrorOptions,
  type ProcessEnd,
} from "./error/plug-error.ts";
export type { Limits } from "./call/limits.ts";
export type { LoadOptions, PluginLine } from "./host/load-options.ts";
export { type Clients, loadPlugin, pluginOf, type ServiceMap } from "./host/load-plugin.ts";
export type { PluginHandle, PluginStats } from "./host/plugin-handle.ts";
export type { CallOptions } from "./rpc/call-options.ts";
export type { Service } from "./rpc/service.ts";
