// Loads a plugin of one service or several, and hands out its clients.

import type { ConnectionEvents } from "../call/client-connection.ts";
import { PlugError } from "../error/plug-error.ts";
import { traceLine, traceVariable } from "../frame/trace-line.ts";
import { bindService, type CallTarget, type MethodIds } from "../rpc/bound-service.ts";
import { checkTable, tableOf } from "../rpc/handler.ts";
import type { Service } from "../rpc/service.ts";
import { versionsOf } from "../rpc/versions.ts";
import { checkedLoadOptions, type CheckedLoadOptions, type LoadOptions } from "./load-options.ts";
import { LoadedPlugin, type PluginHandle } from "./plugin-handle.ts";
import { programOf } from "./program.ts";
import { startPlugin, type WantedMethods } from "./start-plugin.ts";

/** Services by the names that their clients shall have. */
export type ServiceMap = Readonly<Record<string, Service<object, never>>>;

/** The clients of a {@link ServiceMap}. */
export type Clients<M extends ServiceMap> = {
  readonly [K in keyof M]: M[K] extends Service<infer C, never> ? C : never;
};

// Clients have the methods of their service and nothing else, so what belongs to them is kept here.
const handles = new WeakMap<object, PluginHandle>();

/**
 * The handle of the process behind a client, or behind what `loadPlugin` returned.
 *
 * @throws {PlugError} `invalid_argument`: no load returned this object.
 */
export function pluginOf(client: object): PluginHandle {
  const handle = handles.get(client);
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
  const names = Object.keys(services);
  const tables = Object.values(services) as unknown as Service<object, object>[];
  const { target, methodIds } = await load(path, tables, options);
  const plugin: Record<PropertyKey, unknown> = {
    [Symbol.asyncDispose]: () => target.close(),
  };
  for (const [i, name] of names.entries()) {
    plugin[name] = makeClient(
      tables[i] as Service<object, object>,
      methodIds[i] as MethodIds,
      target,
    );
  }
  handles.set(plugin, target);
  return plugin as Clients<M> & AsyncDisposable;
}

/** {@link loadPlugin} for one service: resolves with its client. */
export async function loadService<C extends object, H extends object>(
  service: Service<C, H>,
  path: string | URL,
  options: LoadOptions = {},
): Promise<C & AsyncDisposable> {
  const { target, methodIds } = await load(
    path,
    [service as unknown as Service<object, object>],
    options,
  );
  return makeClient(service, methodIds[0] as MethodIds, target);
}

/** A client whose handle `pluginOf` finds. */
export function makeClient<C extends object, H extends object>(
  service: Service<C, H>,
  methodIds: MethodIds,
  target: CallTarget & PluginHandle & Pick<CheckedLoadOptions, "interceptors">,
): C & AsyncDisposable {
  const { interceptors } = target;
  const client = new service.client(bindService(service, methodIds, target, { interceptors }));
  handles.set(client, target);
  return client;
}

async function load(
  path: string | URL,
  services: readonly Service<object, object>[],
  options: LoadOptions,
): Promise<{ readonly target: LoadedPlugin; readonly methodIds: readonly MethodIds[] }> {
  if (services.length === 0) throw new PlugError("invalid_argument", "there is no service to load");
  for (const service of services) checkTable(service);
  const checked = checkedLoadOptions(options);
  const program = programOf(path);
  if (checked.signal?.aborted === true) {
    throw new PlugError("cancelled", "the load was given up", { cause: checked.signal.reason });
  }
  const plugin = new LoadedPlugin(program.name, checked);
  const wanted = wantedServices(services, checked);
  const events = { ...plugin.events, onFrame: frameTracer(program.name) };
  const started = await startPlugin(program, wanted, checked, events, plugin);
  plugin.attach(started);
  return { target: plugin, methodIds: started.methodIds };
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
