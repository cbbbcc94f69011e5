// A call that this side placed and that has not been settled yet.

import { PlugError } from "../error/plug-error.ts";
import type { Due } from "./deadlines.ts";
import type { MessageReceiver } from "../stream/message-receiver.ts";
import type { MessageSender } from "../stream/message-sender.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";

/** Where a call goes. */
export interface Route {
  /** As the callee gave it out. */
  readonly methodId: number;
  /** The service's full name. */
  readonly service: string;
  /** The rpc's name. */
  readonly method: string;
}

/** What a connection needs of the options of a call. */
export interface CallTerms {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Told when a call is given up before it was answered. */
export interface CallOwner {
  abandon(call: OutgoingCall, error: PlugError): void;
  /** The call has been settled, by whatever. */
  settled(): void;
}

/**
 * One call in flight, or waiting for its turn. It settles once: whatever comes first.
 *
 * It is its own abort listener and its own entry in the deadlines, so that a call with both costs
 * no closure.
 */
export class OutgoingCall implements Due {
  readonly route: Route;
  readonly writer: PayloadWriter<unknown>;
  readonly reader: PayloadReader<unknown>;
  /** The request, until it is encoded. */
  value: unknown;
  /** 0 while the call waits for its turn. */
  id = 0;
  isSettled = false;
  /** Messages out and in, of a call that streams. */
  sender: MessageSender | undefined;
  receiver: MessageReceiver<unknown> | undefined;
  /** Reads the messages that come in. */
  messageReader: PayloadReader<unknown> | undefined;
  /** `ClientStreams` and `ServerStreams`, as they go on the wire. */
  streamFlags = 0;
  deadlineAt = 0;
  heapIndex = -1;
  readonly #owner: CallOwner;
  readonly #timeoutMs: number | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: PlugError) => void;

  constructor(
    owner: CallOwner,
    route: Route,
    writer: PayloadWriter<unknown>,
    value: unknown,
    reader: PayloadReader<unknown>,
    terms: CallTerms | undefined,
    resolve: (value: unknown) => void,
    reject: (error: PlugError) => void,
  ) {
    this.#owner = owner;
    this.route = route;
    this.writer = writer;
    this.value = value;
    this.reader = reader;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timeoutMs = terms?.timeoutMs;
    this.#signal = terms?.signal;
    if (this.#timeoutMs !== undefined) this.deadlineAt = performance.now() + this.#timeoutMs;
    this.#signal?.addEventListener("abort", this);
  }

  get hasDeadline(): boolean {
    return this.#timeoutMs !== undefined;
  }

  /** `"example.KV.Get"` */
  get name(): string {
    return `${this.route.service}.${this.route.method}`;
  }

  /** Settles the call, unless it is settled already. */
  resolve(value: unknown): void {
    if (this.isSettled) return;
    this.#settle();
    this.receiver?.end();
    this.sender?.close(new PlugError("cancelled", `${this.name} has been answered`));
    this.#resolve(value);
  }

  /** Settles the call, unless it is settled already. */
  reject(error: PlugError): void {
    if (this.isSettled) return;
    this.#settle();
    this.receiver?.fail(error);
    this.sender?.close(error);
    this.#reject(error);
  }

  due(): void {
    this.receiver?.discard();
    this.#owner.abandon(
      this,
      new PlugError(
        "deadline_exceeded",
        `${this.name} was not answered within timeoutMs ${this.#timeoutMs}`,
      ),
    );
  }

  /** The abort event of the caller's signal. */
  handleEvent(): void {
    this.receiver?.discard();
    this.#owner.abandon(this, cancelled(this.name, this.#signal));
  }

  #settle(): void {
    this.isSettled = true;
    this.value = undefined;
    this.#signal?.removeEventListener("abort", this);
    this.#owner.settled();
  }
}

export function cancelled(name: string, signal: AbortSignal | undefined): PlugError {
  return new PlugError("cancelled", `${name} was cancelled by its caller`, {
    cause: signal?.reason,
  });
}
