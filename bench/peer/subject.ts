// What a measurement sees of a peer: the same few calls, whoever carries them.

export interface Element {
  readonly data: Uint8Array;
}

export type Elements = Iterable<Element> | AsyncIterable<Element>;

/** A plugin that runs, and the calls that it answers. Disposing of it stops it. */
export interface Subject extends AsyncDisposable {
  /** How the bytes travel, in the peer's own word. */
  readonly transport: string;
  /** Of the process that answers; undefined if it is this one. */
  readonly pid: number | undefined;
  get(key: string): Promise<Uint8Array>;
  put(key: string, value: Uint8Array): Promise<unknown>;
  echo(data: Uint8Array): Promise<Uint8Array>;
  /** Undefined for a peer that has no streams. */
  readonly stream?: StreamSubject;
  /** What only bun-plug has. */
  readonly own?: OwnSubject;
}

/** The streams of bench.proto. */
export interface StreamSubject {
  produce(count: number, elementBytes: number): AsyncIterable<Element>;
  consume(elements: Elements): Promise<number>;
  exchange(elements: Elements): AsyncIterable<Element>;
}

export interface OwnSubject {
  /** Returns when it is answered. Undefined where there are no blocking calls. */
  readonly getSync?: ((key: string) => Uint8Array) | undefined;
  getWith(
    key: string,
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<Uint8Array>;
  /** A call whose handler gets the small value from the host. */
  callBack(): Promise<Uint8Array>;
  /** Streams to a reader that takes one element a second, until the signal aborts. */
  sip(elements: Elements, signal: AbortSignal): Promise<number>;
}

/** What a file `host.ts` of a peer exports. */
export interface HostModule {
  /**
   * Starts the plugin, and resolves when it can be called.
   *
   * @param command The plugin's program and its arguments.
   * @param variant One of the peer's ways; empty for its default.
   */
  open(command: readonly string[], variant: string): Promise<Subject>;
}
