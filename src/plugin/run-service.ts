import type { Service } from "../rpc/service.ts";
import type { RunOptions } from "./run-options.ts";
export async function runService<C extends object, H extends object>(
  _service: Service<C, H>,
  _handler: H,
  _options?: RunOptions,
): Promise<void> {
  throw new Error("not yet");
}
