import type { LoadOptions } from "./host/load-options.ts";
import type { RunOptions } from "./plugin/run-options.ts";
import type { Service } from "./rpc/service.ts";
export interface TestOptions {
  readonly load?: LoadOptions;
  readonly run?: RunOptions;
}
export async function testService<C extends object, H extends object>(
  _service: Service<C, H>,
  _handler: H,
  _options?: TestOptions,
): Promise<C & AsyncDisposable> {
  throw new Error("not yet");
}
