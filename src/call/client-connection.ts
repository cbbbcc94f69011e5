// What the layers above know of a connection, whichever wire it speaks.

import type { PlugError } from "../error/plug-error.ts";
import type { CallTerms, Route } from "./outgoing-call.ts";
import type { CallStarter } from "./place-call.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { MessageSender } from "../stream/message-sender.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";

/** Told what happens on a connection. */
export interface ConnectionEvents {
  /**
   * The transport has ended. Whoever listens closes the connection, once it knows why: calls that
   * are in flight wait for that.
   */
  readonly onEnded?: ((cause: Error | undefined) => void) | undefined;
  readonly onClosed?: ((reason: PlugError) => void) | undefined;
  /** The peer takes no new calls. Those in flight are answered. */
  readonly onDraining?: ((reason: PlugError) => void) | undefined;
  /** The first call was placed, and the last one settled. */
  readonly onBusy?: (() => void) | undefined;
  readonly onIdle?: (() => void) | undefined;
  /** Each frame, for traces: `>` out, `<` in. */
  readonly onFrame?:
    | ((
        direction: ">" | "<",
        kind: number,
        flags: number,
        methodId: number,
        requestId: number,
        payloadBytes: number,
      ) => void)
    | undefined;
}

/** A call that streams. */
export interface OpenedStream<R, M> {
  /** Sends messages; undefined if the rpc takes one. */
  readonly sender: MessageSender | undefined;
  /** Gives messages; undefined if the rpc gives one. */
  readonly receiver: MessageReceiver<M> | undefined;
  /** Settles with the end of the call. */
  readonly response: Promise<R>;
  /** Ends the call from this side. */
  abandon(error: PlugError): void;
}

/** Places calls with the peer. */
export interface CallPlacer {
  /**
   * Places a call. The promise settles once: with what `reader` returns, or with a `PlugError`.
   *
   * `value` is encoded before this returns, unless the call has to wait for its turn. Long `bytes` in
   * it are read until they have been sent, see stream/gather.ts.
   */
  call<T, R>(
    route: Route,
    writer: PayloadWriter<T>,
    value: T,
    reader: PayloadReader<R>,
    terms?: CallTerms,
  ): Promise<R>;

  /**
   * Places a call that streams. With `ClientStreams` among the flags there is no `value`.
   *
   * @throws {PlugError} why it cannot be placed.
   */
  openStream<T, R, M>(
    route: Route,
    streamFlags: number,
    writer: PayloadWriter<T>,
    value: T,
    responseReader: PayloadReader<R>,
    messageReader: PayloadReader<M>,
    terms?: CallTerms,
  ): OpenedStream<R, M>;
}

/** A connection, as those who place calls see it. */
export interface ClientConnection extends CallPlacer, CallStarter {
  /** Hands what is written to the transport now, and not at the end of the turn. */
  flush(): void;

  /** It is taking frames from a chunk, and cannot take others before it is through. */
  readonly isReceiving: boolean;

  /**
   * Resolves when the peer has answered.
   *
   * @throws {PlugError} why the connection has ended.
   */
  ping(): Promise<void>;

  /** Takes no new calls of the peer, and tells it. */
  drain(reason: PlugError): void;

  /**
   * Resolves when no call is in flight in either direction and all has gone out, or the connection
   * is closed.
   */
  idle(): Promise<void>;

  /** Calls that have not been settled. */
  readonly inFlightCount: number;

  /** Why the connection is closed, or undefined if it is not. */
  readonly closeReason: PlugError | undefined;

  /**
   * Ends the connection: the first reason wins. Every call settles with it, or with
   * `callReason` if that is given.
   */
  close(reason: PlugError, callReason?: PlugError): void;
}
