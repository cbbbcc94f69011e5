// A call of a host that cannot await: it waits for the answer without the event loop.
//
// First it looks for the answer for a moment, as the poller does, then it sleeps in poll(2). Answers
// to other calls that come meanwhile settle them in their order, and their callers go on when the
// event loop does; calls of the plugin are answered between two chunks, see call/blocked.ts. What
// the plugin prints is read, so that it does not stop for a full pipe.

import { blocked } from "../call/blocked.ts";
import type { ClientConnection } from "../call/client-connection.ts";
import {
  type CallTerms,
  type OutgoingCall,
  type ParentCall,
  parentOf,
  type Route,
} from "../call/outgoing-call.ts";
import { placeCallFor } from "../call/place-call.ts";
import { PlugError } from "../error/plug-error.ts";
import { type BlockingIo, blockingIo, type Readiness } from "../process/blocking-io.ts";
import type { Child } from "../process/child.ts";
import type { BlockingTarget } from "../rpc/blocking-service.ts";
import type { PayloadReader, PayloadWriter } from "../stream/payload.ts";
import type { BlockingSource } from "../transport/byte-source.ts";
import { type BlockingTransport, canBlock, type Transport } from "../transport/transport.ts";

// A plugin that ends takes its connection with it, which is seen at once, unless something that it
// started has that too: then its end is seen so much later at most.
export const lookForEndMs = 100;
// A process that is about to end.
const endPollMs = 2;
// It may print for ever, or what it has started.
const maxLastReads = 64;

/** The parts of a plugin that a blocking call needs. */
export interface BlockingParts {
  /** Undefined for a plugin that a test runs in this process. */
  readonly child: Child | undefined;
  readonly transport: Transport;
  /** The transport has told so. */
  readonly isTransportEnded: boolean;
  /** The plugin has died: settles all calls with how. */
  died(io: BlockingIo): void;
  /** See `CallTarget`. */
  connection(parent: ParentCall | undefined): ClientConnection;
  close(): Promise<void>;
}

/** What becomes of one call. There is one for each depth of nesting, used again and again. */
class Outcome {
  isSettled = false;
  #value: unknown;
  #error: PlugError | undefined;

  readonly resolve = (value: unknown): void => {
    this.isSettled = true;
    this.#value = value;
  };

  readonly reject = (error: PlugError): void => {
    this.isSettled = true;
    this.#error = error;
  };

  /** What the call ended with. Nothing is kept of it. @throws {PlugError} That. */
  take(): unknown {
    const value = this.#value;
    const error = this.#error;
    this.#value = undefined;
    this.#error = undefined;
    this.isSettled = false;
    if (error !== undefined) throw error;
    return value;
  }
}

const outcomes: Outcome[] = [];
let depth = 0;

/** Places the calls that block of one plugin. */
export class BlockingCaller implements BlockingTarget {
  readonly #parts: BlockingParts;
  // Made by the first call.
  #wait: Wait | undefined;

  constructor(parts: BlockingParts) {
    this.#parts = parts;
  }

  close(): Promise<void> {
    return this.#parts.close();
  }

  callBlocking<T, R>(
    route: Route,
    writer: PayloadWriter<T>,
    value: T,
    reader: PayloadReader<R>,
    terms: CallTerms | undefined,
  ): R {
    const connection = this.#parts.connection(terms === undefined ? undefined : parentOf(terms));
    if (connection.isReceiving) throw isAnswering(route);
    const wait = (this.#wait ??= newWait(this.#parts, connection, route));
    const outcome = (outcomes[depth] ??= new Outcome());
    depth += 1;
    blocked.enter();
    try {
      const { resolve, reject } = outcome;
      const call = placeCallFor(connection, route, writer, value, reader, terms, resolve, reject);
      if (call !== undefined) wait.until(outcome, call);
    } finally {
      blocked.leave();
      depth -= 1;
      // Something threw that should not have; the call may yet settle, and not for the next one.
      if (!outcome.isSettled) outcomes.length = depth;
    }
    return outcome.take() as R;
  }
}

function isAnswering({ service, method }: Route): PlugError {
  return new PlugError(
    "failed_precondition",
    `${service}.${method} cannot block here, where a call of the same plugin is being answered; await it instead`,
  );
}

// @throws {PlugError} `unimplemented`: nobody can wait here.
function newWait(parts: BlockingParts, connection: ClientConnection, route: Route): Wait {
  const { transport } = parts;
  const name = `${route.service}.${route.method}`;
  if (!canBlock(transport)) {
    throw new PlugError(
      "unimplemented",
      `${name} cannot block: on ${transport.kind} that takes a plugin that was loaded by load…Sync`,
    );
  }
  const io = blockingIo();
  if (io === undefined) throw noBlocking(name);
  return new Wait(parts, connection, transport, io);
}

/** Why nothing can block here. */
export function noBlocking(what: string): PlugError {
  return new PlugError("unimplemented", `${what} cannot block: bun:ffi is not to be had here`);
}

class Wait {
  readonly #parts: BlockingParts;
  readonly #connection: ClientConnection;
  readonly #transport: BlockingTransport;
  readonly #io: BlockingIo;
  // What it has started may print on when it has ended.
  #lookForEndAtMs = 0;

  constructor(
    parts: BlockingParts,
    connection: ClientConnection,
    transport: BlockingTransport,
    io: BlockingIo,
  ) {
    this.#parts = parts;
    this.#connection = connection;
    this.#transport = transport;
    this.#io = io;
  }

  until(outcome: Outcome, call: OutgoingCall): void {
    const connection = this.#connection;
    connection.flush();
    try {
      while (!outcome.isSettled) {
        if (this.#parts.isTransportEnded) this.#parts.died(this.#io);
        else if (!this.#transport.takeNow(this.#io)) this.#sleep(call);
        // Also where something comes all the time.
        else if (call.hasDeadline && call.deadlineAt <= performance.now()) call.due();
        // Handlers of this side, and then what they have answered.
        if (blocked.run()) connection.flush();
      }
    } finally {
      this.#transport.resume();
    }
  }

  #sleep(call: OutgoingCall): void {
    const { child } = this.#parts;
    if (child === undefined) {
      this.#connection.abandon(call, neverAnswered(call));
      return;
    }
    const leftMs = call.hasDeadline ? call.deadlineAt - performance.now() : Infinity;
    if (leftMs <= 0) {
      call.due();
      return;
    }
    const transport = this.#transport;
    const isReady = waitForOutput(child, transport, this.#io, Math.min(leftMs, lookForEndMs));
    const now = performance.now();
    if (isReady && now < this.#lookForEndAtMs) return;
    this.#lookForEndAtMs = now + lookForEndMs;
    if (child.endNow(this.#io) === undefined) return;
    if (!transport.takeNow(this.#io)) this.#parts.died(this.#io);
  }
}

/**
 * Sleeps until the transport has something or the plugin has printed, which is read, or the span is
 * over. Returns whether there was something.
 */
export function waitForOutput(
  child: Child,
  transport: BlockingTransport,
  io: BlockingIo,
  spanMs: number,
): boolean {
  if (!transport.willWait()) return true;
  const { readFd, writeFd } = transport;
  const printed = openPrints(child, readFd);
  const descriptors: Readiness[] = printed.map(({ fd }) => ({ fd, toWrite: false }));
  descriptors.push({ fd: readFd, toWrite: false });
  if (writeFd !== undefined) descriptors.push({ fd: writeFd, toWrite: true });
  const ready = io.wait(descriptors, spanMs);
  transport.hasWaited(io, writeFd !== undefined && ready.at(-1) === true);
  for (const { source } of printed) source.readNow(io);
  return ready.includes(true);
}

interface OpenPrint {
  readonly source: BlockingSource;
  readonly fd: number;
}

// What the plugin prints on, unless it is what the protocol runs on.
function openPrints(child: Child, transportFd: number): OpenPrint[] {
  return child.printed.flatMap((source) => {
    const fd = source.readFd;
    return fd === undefined || fd === transportFd ? [] : [{ source, fd }];
  });
}

/**
 * Waits until a process that is about to end has ended, for up to `spanMs`, and reads its last words.
 */
export function endsBlocking(
  child: Child,
  transport: Transport,
  io: BlockingIo,
  spanMs: number,
): void {
  const transportFd = canBlock(transport) ? transport.readFd : -1;
  const untilMs = performance.now() + spanMs;
  for (;;) {
    const hasEnded = child.endNow(io) !== undefined;
    const isLate = performance.now() >= untilMs;
    const prints = openPrints(child, transportFd);
    for (let i = 0; i < maxLastReads && prints.some(({ source }) => source.readNow(io)); i++);
    for (const source of child.printed) source.giveNow();
    if (hasEnded || isLate) return;
    io.wait([], endPollMs);
  }
}

function neverAnswered({ name }: OutgoingCall): PlugError {
  return new PlugError(
    "failed_precondition",
    `${name} would never be answered: its handler is in this process and needs the event loop, which stands still while its caller blocks`,
  );
}
