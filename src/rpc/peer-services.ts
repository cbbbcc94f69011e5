// What of the other side can be called, and what of this side it refers to: one for a connection.

import type { DescribedService, Peer, ReferenceEvents } from "../call/incoming-call.ts";
import { PlugError } from "../error/plug-error.ts";
import type { CallPlacer } from "../call/client-connection.ts";
import { bindService, type CallTarget, type MethodIds } from "./bound-service.ts";
import { checkHandler, type Served } from "./handler.ts";
import type { Interceptor } from "./interceptor.ts";
import { checkedRef, type Ref } from "./ref.ts";
import type { Service } from "./service.ts";
import { otherVersionsOf, type VersionsOption } from "./versions.ts";

/** A service that the host offers, as it said in the handshake. */
export interface OfferedService {
  readonly name: string;
  readonly versions: readonly number[];
  readonly methods: readonly string[];
  readonly firstMethodId: number;
}

/** Where references go. */
export interface ReferenceConnection {
  describe(service: DescribedService): void;
  release(objectId: number): void;
}

export interface PeerServicesOptions {
  /** Mark the references of this side and of the other. */
  readonly origin: number;
  readonly peerOrigin: number;
  /** What the host offers, on the plugin's side. */
  readonly offers?: readonly OfferedService[];
  /** Whether this is the host's side. */
  readonly isHost: boolean;
  readonly maxReferences: number;
  readonly versions: VersionsOption | undefined;
  readonly interceptors: readonly Interceptor[];
  /** Told the version in which the plugin calls a service that the host offers. */
  readonly onAgreed?: (service: string, version: number) => void;
  /** Where calls go. */
  readonly target: Pick<CallTarget, "connection">;
}

type AnyService = Service<object, object>;

// Services that a peer may tell the methods of; each is at most one frame.
const maxDescribedCount = 256;

// What keeps an object of the other side alive: one for all clients of a reference.
interface Holder {
  readonly objectId: number;
  /** Clients that are not disposed, and calls in flight. */
  userCount: number;
}

export class PeerServices implements Peer, ReferenceEvents {
  readonly #options: PeerServicesOptions;
  #connection: ReferenceConnection | undefined;
  readonly #hostClients = new Map<AnyService, object>();
  // Objects of this side.
  readonly #objects = new Map<number, Served>();
  #lastObjectId = 0;
  // Versions and methods by name, as the other side knows them.
  readonly #told = new Map<string, string>();
  readonly #toldTables = new WeakSet<AnyService>();
  // Objects of the other side, while somebody here holds them.
  readonly #held = new Map<number, WeakRef<Holder>>();
  readonly #described = new Map<string, DescribedService>();
  readonly #collected = new FinalizationRegistry<number>((objectId) => {
    // Unless another reference to it has come since.
    if (this.#held.get(objectId)?.deref() === undefined) this.#release(objectId);
  });

  constructor(options: PeerServicesOptions) {
    this.#options = options;
  }

  /** From now on references can be made. */
  attach(connection: ReferenceConnection): void {
    this.#connection = connection;
  }

  /** The connection has ended: nothing is referred to any more. */
  close(): void {
    this.#connection = undefined;
    this.#objects.clear();
    this.#held.clear();
    this.#described.clear();
  }

  /** Objects of this side that the other may call, and those of the other that this one holds. */
  get referenceCounts(): { readonly made: number; readonly held: number } {
    return { made: this.#objects.size, held: this.#held.size };
  }

  /** What answers calls for an object of this side. */
  object(objectId: number): Served | undefined {
    return this.#objects.get(objectId);
  }

  host(service: AnyService): object {
    let client = this.#hostClients.get(service);
    if (client === undefined) {
      const { target, interceptors } = this.#options;
      const caller = bindService(
        service,
        this.#offered(service),
        // What the host offers is there as long as the host is.
        { connection: (parent) => target.connection(parent), close: () => Promise.resolve() },
        { interceptors, peerName: "the host" },
      );
      client = new service.client(caller);
      this.#hostClients.set(service, client);
    }
    return client;
  }

  refer(service: AnyService, handler: object): Ref & Disposable {
    const connection = this.#open();
    const served = { service, handler };
    checkHandler(served);
    const { maxReferences, origin } = this.#options;
    if (this.#objects.size >= maxReferences) {
      throw new PlugError(
        "resource_exhausted",
        `one more reference than maxReferences ${maxReferences}`,
      );
    }
    this.#tell(service, connection);
    const object = this.#nextObjectId();
    this.#objects.set(object, served);
    return {
      $typeName: "plugpb.Ref",
      object,
      origin,
      service: service.typeName,
      [Symbol.dispose]: () => this.released(object),
    };
  }

  resolve(service: AnyService, ref: unknown): object {
    this.#open();
    const { object, origin } = checkedRef(ref, service.typeName);
    this.#checkOrigin(origin);
    const described = this.#described.get(service.typeName);
    const versions = otherVersionsOf(service, this.#options.versions);
    if (described === undefined || !versions.includes(described.version)) {
      throw new PlugError(
        "unimplemented",
        `the reference is of ${service.typeName} version ${described?.version ?? "unknown"}; this side knows version ${versions.join(" or ")}`,
      );
    }
    const holder = this.#hold(object);
    const methodIds = new Map(described.methods.map((name, i) => [name, i]));
    const { target, interceptors, isHost } = this.#options;
    let isDisposed = false;
    const caller = bindService(
      service,
      methodIds,
      {
        connection: (parent) => {
          if (!isDisposed) return this.#holding(holder, target.connection(parent));
          throw new PlugError(
            "failed_precondition",
            `the reference to ${service.typeName} was disposed`,
          );
        },
        close: () => {
          if (!isDisposed) this.#letGo(holder);
          isDisposed = true;
          return Promise.resolve();
        },
      },
      { interceptors, objectId: object, peerName: isHost ? "the plugin" : "the host" },
    );
    return new service.client(caller);
  }

  released(objectId: number): void {
    this.#objects.delete(objectId);
  }

  described(service: DescribedService): void {
    if (service.methods.length === 0) {
      this.#options.onAgreed?.(service.name, service.version);
      return;
    }
    if (this.#described.size >= maxDescribedCount && !this.#described.has(service.name)) {
      throw new PlugError(
        "protocol_error",
        `the peer tells the methods of more than ${maxDescribedCount} services`,
      );
    }
    this.#described.set(service.name, service);
  }

  // Objects do not say of which edition of a service they are, so there is one.
  #tell(service: AnyService, connection: ReferenceConnection): void {
    if (this.#toldTables.has(service)) return;
    const { typeName, version, methods } = service;
    const names = methods.map(({ name }) => name);
    const edition = [version, ...names].join(" ");
    const told = this.#told.get(typeName);
    if (told !== undefined && told !== edition) {
      throw new PlugError(
        "failed_precondition",
        `another version of ${typeName} has been referred to on this connection`,
      );
    }
    if (told === undefined && this.#told.size >= maxDescribedCount) {
      throw new PlugError(
        "resource_exhausted",
        `one more service than ${maxDescribedCount} whose objects are referred to`,
      );
    }
    if (told === undefined) connection.describe({ name: typeName, version, methods: names });
    this.#told.set(typeName, edition);
    this.#toldTables.add(service);
  }

  #open(): ReferenceConnection {
    if (this.#connection !== undefined) return this.#connection;
    throw new PlugError("unavailable", "the connection has ended, and references with it");
  }

  #offered(service: AnyService): MethodIds {
    const { isHost, offers = [], versions: option } = this.#options;
    if (isHost) {
      throw new PlugError("failed_precondition", "context.host is for plugins; this is the host");
    }
    const offer = offers.find(({ name }) => name === service.typeName);
    if (offer === undefined) {
      const names = offers.map(({ name }) => name).join(", ");
      throw new PlugError(
        "unimplemented",
        `the host does not offer ${service.typeName}; it offers ${names === "" ? "nothing" : names}`,
      );
    }
    const versions = otherVersionsOf(service, option);
    const common = versions.filter((version) => offer.versions.includes(version));
    if (common.length === 0) {
      throw new PlugError(
        "unimplemented",
        `the host offers ${service.typeName} version ${offer.versions.join(" or ")}; the plugin knows version ${versions.join(" or ")}`,
      );
    }
    // The host knows what it offers, but not which version of it is wanted.
    const version = Math.max(...common);
    this.#connection?.describe({ name: service.typeName, version, methods: [] });
    return new Map(offer.methods.map((name, i) => [name, offer.firstMethodId + i]));
  }

  #checkOrigin(origin: number): void {
    if (origin === this.#options.peerOrigin) return;
    throw new PlugError(
      "failed_precondition",
      origin === this.#options.origin
        ? "the reference is to an object of this side; use the object itself"
        : "the reference is of another connection; it goes no further than the one that it came by",
    );
  }

  #nextObjectId(): number {
    do this.#lastObjectId = (this.#lastObjectId + 1) >>> 0;
    while (this.#lastObjectId === 0 || this.#objects.has(this.#lastObjectId));
    return this.#lastObjectId;
  }

  #hold(objectId: number): Holder {
    let holder = this.#held.get(objectId)?.deref();
    if (holder === undefined) {
      holder = { objectId, userCount: 0 };
      this.#held.set(objectId, new WeakRef(holder));
      this.#collected.register(holder, objectId, holder);
    }
    holder.userCount += 1;
    return holder;
  }

  // Calls in flight hold the object as clients do: a request may still be on its way out, and a
  // client that nobody has any more may be waiting for an answer.
  #holding(holder: Holder, connection: CallPlacer): CallPlacer {
    const letGo = (): void => this.#letGo(holder);
    return {
      call: (...args) => {
        const response = connection.call(...args);
        holder.userCount += 1;
        // The caller's own promise, so that a rejection that nobody hears is reported as one.
        return response.finally(letGo);
      },
      openStream: (...args) => {
        const stream = connection.openStream(...args);
        holder.userCount += 1;
        stream.response.then(letGo, letGo);
        return stream;
      },
    };
  }

  #letGo(holder: Holder): void {
    holder.userCount -= 1;
    if (holder.userCount > 0) return;
    this.#collected.unregister(holder);
    this.#release(holder.objectId);
  }

  #release(objectId: number): void {
    this.#held.delete(objectId);
    this.#connection?.release(objectId);
  }
}

/** A mark for the references of one side of one connection: not 0. */
export function newOrigin(): number {
  // A mark against mistakes and no secret: crypto would take a plugin that starts 0.1 ms.
  return Math.floor(Math.random() * 2 ** 32) || 1;
}
