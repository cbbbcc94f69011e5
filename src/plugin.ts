// `bun-plug/plugin`: for plugins.

import "./platform.ts";

export { type ErrorCode, errorCodes, type Retry } from "./error/error-code.ts";
export { isPlugError, PlugError, type PlugErrorOptions } from "./error/plug-error.ts";
export type { RunOptions } from "./plugin/run-options.ts";
export { type Pair, runPlugin } from "./plugin/run-plugin.ts";
export type { CallContext, CallOptions } from "./rpc/call-options.ts";
export type { Service } from "./rpc/service.ts";
