// Loads a plugin of one service or several, and hands out its clients.

import type { ConnectionEvents } from "../call/client-connection.ts";
import { PlugError } from "../error/plug-error.ts";
import { traceLine, traceVariable } from "../frame/trace-line.ts";
import { blockingClient, type BlockingTarget, type Sync } from "../rpc/blocking-service.ts";
import { bindService, type CallTarget, type MethodIds } from "../rpc/bound-service.ts";
import { checkTable, tableOf } from "../rpc/handler.ts";
import type { Service } from "../rpc/service.ts";
import { versionsOf } from "../rpc/versions.ts";
import { ClientHandle } from "./client-handle.ts";
import { checkedLoadOptions, type CheckedLoadOptions, type LoadOptions } from "./load-options.ts";
import { LoadedPlugin, type PluginHandle, type PluginProcess } from "./plugin-handle.ts";
import { programOf } from "./program.ts";
import { startPluginBlocking } from "./start-blocking.ts";
import {
  type PluginStart,
  type StartedPlugin,
  startPlugin,
  type WantedMethods,
} from "./start-plugin.ts";

/** Services by the names that their clients shall have. */
export type ServiceMap = Readonly<Record<string, Service<object, never>>>;

/** The clients of a {@link ServiceMap}. */
export type Clients<M extends ServiceMap> = {
  readonly [K in keyof M]: M[K] extends Service<infer C, never> ? C : never;
};

// Clients have the methods of their service and nothing else, so what belongs to them is kept here.
const handles = new WeakMap<object, unknown>();

/**
 * The handle of the process behind a client, or behind what `loadPlugin` returned.
 *
 * @throws {PlugError} `invalid_argument`: no load returned this object.
 */
export function pluginOf<C extends object>(client: C): PluginHandle<C> {
  const handle = handles.get(client) as PluginHandle<C> | undefined;
  if (handle !== undefined) return handle;
  throw new PlugError("invalid_argument", "pluginOf takes what a load returned");
}

/**
 * Starts a program and resolves when it has answered the handshake, with one client per service.
 *
 * @throws {PlugError} `start_failed`, `not_a_plugin`, `handshake_mismatch`, `invalid_argument` or
 *   `cancelled`; no process is left behind.
 */
export async function loadPlugin<M extends ServiceMap>(
  path: string | URL,
  services: M,
  options: LoadOptions = {},
): Promise<Clients<M> & AsyncDisposable> {
  const load = prepare(path, tablesOf(services), options);
  const { plugin: target, methodIds } = attach(load, await startPlugin(load));
  const plugin: Record<PropertyKey, unknown> = {
    [Symbol.asyncDispose]: () => target.close(),
  };
  for (const [i, [name, table]] of Object.entries(services).entries()) {
    plugin[name] = makeClient(table, methodIds[i] as MethodIds, target);
  }
  const makeSync = (): Sync<object> => syncClients(services, methodIds, target);
  handles.set(plugin, new ClientHandle<object>(target, makeSync));
  return plugin as Clients<M> & AsyncDisposable;
}

/** {@link loadPlugin} for one service: resolves with its client. */
export async function loadService<C extends object, H extends object>(
  service: Service<C, H>,
  path: string | URL,
  options: LoadOptions = {},
): Promise<C & AsyncDisposable> {
  const load = prepare(path, [service as unknown as Service<object, object>], options);
  const { plugin, methodIds } = attach(load, await startPlugin(load));
  return makeClient(service, methodIds[0] as MethodIds, plugin);
}

/**
 * {@link loadPlugin} for hosts that cannot await: blocks until the program has answered, and returns
 * clients whose calls block, see `PluginHandle.sync`. What goes wrong is thrown. `signal` is looked
 * at once, before the start.
 *
 * Disposing of it starts to close the plugin, as `pluginOf(it).close()` does; that goes on while
 * the event loop turns.
 *
 * @throws {PlugError} `unimplemented`: bun:ffi is not to be had here.
 */
export function loadPluginSync<M extends ServiceMap>(
  path: string | URL,
  services: M,
  options: LoadOptions = {},
): Sync<Clients<M>> & Disposable {
  const load = prepareBlocking(path, tablesOf(services), options);
  const { plugin, methodIds } = attach(load, startPluginBlocking(load));
  const clients = syncClients(services, methodIds, plugin) as Sync<Clients<M>>;
  return withHandle(clients, plugin);
}

/** {@link loadPluginSync} for one service: returns its client. */
export function loadServiceSync<C extends object, H extends object>(
  service: Service<C, H>,
  path: string | URL,
  options: LoadOptions = {},
): Sync<C> & Disposable {
  const load = prepareBlocking(path, [service as unknown as Service<object, object>], options);
  const { plugin, methodIds } = attach(load, startPluginBlocking(load));
  return withHandle(blockingClient(service, methodIds[0] as MethodIds, plugin.blocking), plugin);
}

/** A client whose handle `pluginOf` finds. */
export function makeClient<C extends object, H extends object>(
  service: Service<C, H>,
  methodIds: MethodIds,
  target: ClientTarget,
): C & AsyncDisposable {
  const { interceptors } = target;
  const client = new service.client(bindService(service, methodIds, target, { interceptors }));
  const makeSync = (): Sync<C> => syncClient(service, methodIds, target);
  handles.set(client, new ClientHandle<C>(target, makeSync));
  return client;
}

/** What a client calls, and what its handle is about. */
export type ClientTarget = CallTarget &
  PluginProcess &
  Pick<CheckedLoadOptions, "interceptors"> & { readonly blocking: BlockingTarget };

function syncClient<C extends object, H extends object>(
  service: Service<C, H>,
  methodIds: MethodIds,
  target: ClientTarget,
): Sync<C> {
  checkNoInterceptors(target);
  return blockingClient(service, methodIds, target.blocking);
}

function syncClients(
  services: ServiceMap,
  methodIds: readonly MethodIds[],
  target: ClientTarget,
): Sync<object> {
  const clients = Object.entries(services).map(([name, table], i) => [
    name,
    syncClient(table, methodIds[i] as MethodIds, target),
  ]);
  return Object.fromEntries(clients) as Sync<object>;
}

// They are functions of promises.
function checkNoInterceptors({ interceptors }: Pick<CheckedLoadOptions, "interceptors">): void {
  if (interceptors.length === 0) return;
  throw new PlugError(
    "unimplemented",
    "calls that block do not go through interceptors: load without them",
  );
}

function withHandle<S extends object>(clients: S, plugin: LoadedPlugin): S & Disposable {
  Object.defineProperty(clients, Symbol.dispose, { value: () => void plugin.close() });
  handles.set(clients, new ClientHandle<S>(plugin, () => clients as Sync<S>));
  return clients as S & Disposable;
}

function tablesOf(services: ServiceMap): readonly Service<object, object>[] {
  return Object.values(services) as unknown as Service<object, object>[];
}

interface Load extends PluginStart {
  readonly target: LoadedPlugin;
}

function prepare(
  path: string | URL,
  services: readonly Service<object, object>[],
  options: LoadOptions,
): Load {
  if (services.length === 0) throw new PlugError("invalid_argument", "there is no service to load");
  for (const service of services) checkTable(service);
  const checked = checkedLoadOptions(options);
  const program = programOf(path);
  if (checked.signal?.aborted === true) {
    throw new PlugError("cancelled", "the load was given up", { cause: checked.signal.reason });
  }
  const target = new LoadedPlugin(program.name, checked);
  return {
    program,
    wanted: wantedServices(services, checked),
    options: checked,
    events: { ...target.events, onFrame: frameTracer(program.name) },
    target,
  };
}

function prepareBlocking(
  path: string | URL,
  services: readonly Service<object, object>[],
  options: LoadOptions,
): Load {
  const load = prepare(path, services, options);
  checkNoInterceptors(load.options);
  return load;
}

function attach(
  { target: plugin }: Load,
  started: StartedPlugin,
): { readonly plugin: LoadedPlugin; readonly methodIds: readonly MethodIds[] } {
  plugin.attach(started);
  return { plugin, methodIds: started.methodIds };
}

/** What the host asks of a plugin. */
export function wantedServices(
  services: readonly Service<object, object>[],
  { versions: option }: Pick<CheckedLoadOptions, "versions">,
): WantedMethods[] {
  return services.map((service) => {
    const versions = versionsOf(service, option, services.length);
    const streaming = service.methods.filter(({ kind }) => kind !== "unary");
    return {
      ...tableOf(service, versions),
      // A plugin of the Go original is asked for one version; for the newest that will do.
      version: Math.max(...versions),
      streaming: streaming.map(({ name }) => name),
    };
  });
}

/** Prints frames on stderr if `PLUG_TRACE=1` asks for it. */
export function frameTracer(name: string): ConnectionEvents["onFrame"] {
  if (process.env[traceVariable] !== "1") return undefined;
  return (...frame) => console.error(traceLine(name, ...frame));
}
