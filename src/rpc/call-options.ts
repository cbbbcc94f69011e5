// What can be said with a call, on either side of it.

/** Options of one call. All are optional, and absent ones cost nothing. */
export interface CallOptions {
  /**
   * Gives the call up when it aborts: the call rejects with `cancelled`, and the plugin is told.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds from now after which the call rejects with `deadline_exceeded`; the plugin is
   * told. The time that a call waits for its turn counts.
   *
   * @defaultValue no deadline. Valid: 0 to 2^31 - 1.
   */
  readonly timeoutMs?: number | undefined;
}

/**
 * What a handler gets as its last argument. It is a valid {@link CallOptions}, so that calls made
 * with it end when this one does. Pass the context itself: a spread of it, `{ ...context }`, has
 * neither its signal nor its deadline.
 */
export interface CallContext extends CallOptions {
  /** Aborts when the caller gives the call up, its deadline passes, or the connection ends. */
  readonly signal: AbortSignal;
  /** Milliseconds that are left until the deadline, at least 0; undefined without a deadline. */
  readonly timeoutMs: number | undefined;
  /** The service's full name, such as `"example.KV"`. */
  readonly service: string;
  /** The rpc's name in the `.proto`, such as `"Get"`. */
  readonly method: string;
}
