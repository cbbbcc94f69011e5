import type { Service } from "../rpc/service.ts";
import type { LoadOptions } from "./load-options.ts";
export async function loadService<C extends object, H extends object>(
  _service: Service<C, H>,
  _path: string | URL,
  _options?: LoadOptions,
): Promise<C & AsyncDisposable> {
  throw new Error("not yet");
}
