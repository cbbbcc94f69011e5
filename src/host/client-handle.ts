// What `pluginOf` gives: the plugin's process, and the client that it was asked for, for callers who
// block.

import type { PlugError } from "../error/plug-error.ts";
import type { Sync } from "../rpc/blocking-service.ts";
import type { Ref } from "../rpc/ref.ts";
import type { Service } from "../rpc/service.ts";
import type { PluginHandle, PluginProcess, PluginStats } from "./plugin-handle.ts";

export class ClientHandle<C extends object> implements PluginHandle<C> {
  /** The same for all clients of a plugin. */
  readonly process: PluginProcess;
  readonly #makeSync: () => Sync<C>;
  #sync: Sync<C> | undefined;

  /** `makeSync` is called when the client is asked for first. */
  constructor(process: PluginProcess, makeSync: () => Sync<C>) {
    this.process = process;
    this.#makeSync = makeSync;
  }

  get sync(): Sync<C> {
    this.#sync ??= this.#makeSync();
    return this.#sync;
  }

  get name(): string {
    return this.process.name;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  get closed(): Promise<PlugError> {
    return this.process.closed;
  }

  get versions(): Readonly<Record<string, number>> {
    return this.process.versions;
  }

  close(): Promise<void> {
    return this.process.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process.close();
  }

  stats(): PluginStats {
    return this.process.stats();
  }

  ping(options?: { readonly timeoutMs?: number | undefined }): Promise<number> {
    return this.process.ping(options);
  }

  refer<H extends object>(service: Service<object, H>, handler: H): Ref & Disposable {
    return this.process.refer(service, handler);
  }

  resolve<R extends object>(service: Service<R, never>, ref: Ref | undefined): R & AsyncDisposable {
    return this.process.resolve(service, ref);
  }

  ref(): void {
    this.process.ref();
  }

  unref(): void {
    this.process.unref();
  }
}
