// Shared memory with a socket as the doorbell: frames are written where the other side reads them.
//
// No system call while both sides are awake. See ring-memory.ts for the memory, and poller.ts for
// who is awake and for how long.

import { BriefLook } from "./brief-look.ts";
import { nowNs } from "./clock.ts";
import { crowd as crowdOfProcess, type Crowd } from "./crowd.ts";
import { type DoorbellSocket, connectDoorbell } from "./doorbell.ts";
import { Patience } from "./patience.ts";
import { poller, type Pollable } from "./poller.ts";
import { ringBytes, ringEnds, type RingReader, type RingWriter } from "./ring-memory.ts";
import { RingTaker } from "./ring-taker.ts";
import { SendBuffer } from "./send-buffer.ts";
import type { BlockingTransport, DescriptorIo, Receiver } from "./transport.ts";

/** Beyond so many unread bytes, bulk data waits, so that small frames find the way clear. */
const highWaterBytes = 64 * 1024;
// What is taken before those who waited for it, and everything else, have their turn.
const turnBytes = 64 * 1024;
// The other side may start on the first frames of a turn while the others are being written; if it
// is awake, on the very first.
const publishFrames = 8;

export interface RingTransportOptions {
  /** Both rings, zeroed before either side starts. */
  readonly memory: Uint8Array;
  readonly side: "host" | "plugin";
  /** A connected socket; it belongs to the transport from now on. */
  readonly socketFd: number;
  /** Look at the memory before sleeping. @defaultValue true, with more than one core */
  readonly poll?: boolean | undefined;
  /** Who else wants a core. @defaultValue all rings of this process */
  readonly crowd?: Crowd | undefined;
}

export class RingTransport implements BlockingTransport, Pollable {
  readonly kind = "ring";
  readonly canBlock = true;
  readonly sent = { writeCount: 0, byteCount: 0 };
  isAwaited = false;
  buffer: Uint8Array;
  view: DataView;
  readonly #memory: Uint8Array;
  readonly #memoryView: DataView;
  readonly #writer: RingWriter;
  readonly #reader: RingReader;
  readonly #taker: RingTaker;
  readonly #doorbell: DoorbellSocket;
  /** The doorbell's. */
  readonly readFd: number;
  readonly writeFd = undefined;
  readonly #look = new BriefLook();
  readonly #patience: Patience;
  // What did not fit. While there is something in it, everything goes behind it.
  readonly #spare = new SendBuffer();
  #isInSpare = false;
  #unpublishedFrames = 0;
  // Something has been published since the last flush: for the count of writes.
  #isWriteBegun = false;
  // Something has been published, and perhaps its reader sleeps.
  #isBellDue = false;
  // There is more to write than there should be unread. Who sleeps has asked the reader to ring.
  #isWaiting = false;
  #receiver: Receiver | undefined;
  #isDelivering = false;
  #isBlocking = false;
  // Something was taken, and nothing has gone out since: perhaps a request that is being answered.
  #isAnswerDue = false;
  // What was taken last was a request, and has been answered.
  #hasAnswered = false;
  #isPeerGone = false;
  // What the peer did that cannot be. It is the end, in a moment.
  #fault: Error | undefined;
  #end: { readonly cause: Error | undefined } | undefined;
  #isClosed = false;

  constructor({
    memory,
    side,
    socketFd,
    poll = true,
    crowd = crowdOfProcess,
  }: RingTransportOptions) {
    const { writer, reader } = ringEnds(memory, side);
    this.#writer = writer;
    this.#reader = reader;
    this.#taker = new RingTaker(reader);
    this.#memory = memory;
    this.#memoryView = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.buffer = memory;
    this.view = this.#memoryView;
    this.#patience = new Patience(poll, crowd);
    this.readFd = socketFd;
    this.#doorbell = connectDoorbell(socketFd, {
      rung: () => this.#rung(),
      gone: (cause) => this.#peerGone(cause),
    });
  }

  get pollUntilNs(): number {
    return this.#patience.untilNs(this.isAwaited);
  }

  get isRare(): boolean {
    return this.#patience.isRare;
  }

  get isAtWork(): boolean {
    return this.#isAnswerDue || this.#unpublishedFrames > 0;
  }

  get unsentBytes(): number {
    return this.#spare.byteCount;
  }

  get isCongested(): boolean {
    if (this.#spare.byteCount > 0) return true;
    if (this.#writer.unreadBytes <= highWaterBytes) return false;
    return this.#check(() => this.#writer.look()) && this.#writer.unreadBytes > highWaterBytes;
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#taker.begin();
    if (this.#end !== undefined) {
      this.#lastWords();
      receiver.ended(this.#end.cause);
      return;
    }
    // What the peer has written before this side was there, it wrote without a doorbell.
    this.#awake();
  }

  reserve(byteLength: number): number {
    if (this.#spare.byteCount === 0) {
      const at = this.#place(byteLength);
      if (at >= 0) {
        this.#isInSpare = false;
        this.buffer = this.#memory;
        this.view = this.#memoryView;
        return at;
      }
    }
    this.#isInSpare = true;
    const at = this.#spare.reserve(byteLength);
    this.buffer = this.#spare.buffer;
    this.view = this.#spare.view;
    return at;
  }

  commit(end: number): void {
    if (this.#isInSpare) {
      this.#spare.commit(end);
      return;
    }
    this.#writer.written(end);
    this.#unpublishedFrames += 1;
    // In a crowd it has no core to start on.
    if (this.#patience.isCrowded) return;
    if (this.#unpublishedFrames >= publishFrames) this.#publish();
    else if (!this.#isWriteBegun) this.#show();
  }

  flush(): void {
    if (this.#isClosed || this.#end !== undefined) return;
    if (this.#spare.byteCount > 0) this.#check(() => this.#moveSpare());
    const isAwake = this.#publish();
    if (this.#isWriteBegun) this.sent.writeCount += 1;
    this.#isWriteBegun = false;
    this.#waitIfFull();
    // Whoever was asleep takes a while to wake: nothing is looked for meanwhile.
    if (this.#isDelivering) return;
    if (this.isAwaited) {
      if (isAwake && this.#patience.expectAnswer()) this.#awake();
    } else if (this.#hasAnswered) {
      // By a handler that took its time.
      this.#hasAnswered = false;
      if (this.#patience.expectRequest(nowNs())) this.#awake();
    }
  }

  // Lets the other side see what is written, and wakes it. Returns whether it was awake.
  #publish(): boolean {
    this.#show();
    if (!this.#isBellDue) return true;
    this.#isBellDue = false;
    if (!this.#writer.takeSleep()) return true;
    this.#doorbell.ring();
    return false;
  }

  #show(): void {
    this.#unpublishedFrames = 0;
    const byteCount = this.#writer.publish();
    if (byteCount === 0) return;
    this.#isWriteBegun = true;
    this.#isBellDue = true;
    this.sent.byteCount += byteCount;
    // What goes out later while something is awaited may as well be another request.
    if (this.#isAnswerDue && (this.#isDelivering || !this.isAwaited)) this.#hasAnswered = true;
    this.#isAnswerDue = false;
  }

  ref(): void {
    this.#doorbell.ref();
  }

  unref(): void {
    this.#doorbell.unref();
  }

  close(): void {
    if (this.#isClosed) return;
    // Last words are in the memory for whoever still looks.
    this.#writer.publish();
    if (this.#writer.takeSleep()) this.#doorbell.ring();
    this.#isClosed = true;
    this.#receiver = undefined;
    poller.remove(this);
    this.#doorbell.close();
  }

  poll(): boolean {
    if (this.#end !== undefined) return false;
    if (this.#isWaiting && this.#hasRoom()) this.#wasRead();
    let isFound = false;
    // Before: when the last answer has been taken, nothing is awaited any more.
    const wasAwaited = this.isAwaited;
    try {
      isFound = this.#reader.byteCount > 0;
      if (isFound) this.#deliver();
    } catch (error) {
      this.#ended(error as Error);
      return false;
    }
    // Whoever blocks looks by rules of its own, see brief-look.ts.
    if (isFound && !this.#isBlocking) this.#found(wasAwaited);
    return isFound;
  }

  takeNow(): boolean {
    this.#isBlocking = true;
    if (this.#fault !== undefined) this.#ended(this.#fault);
    const { mayLook, isCrowded } = this.#patience;
    return mayLook && !isCrowded ? this.#look.until(this.#lookNow) : this.poll();
  }

  readonly #lookNow = (): boolean => this.#end !== undefined || this.poll();

  willWait(): boolean {
    return this.sleep();
  }

  hasWaited(io: DescriptorIo): void {
    this.#reader.wake();
    const byteCount = this.#doorbell.silence(io);
    if (byteCount === 0) this.#peerGone(undefined);
    else if (byteCount > 0 && this.#isWaiting) this.#wasRead();
  }

  resume(): void {
    this.#isBlocking = false;
    if (!this.#isClosed && this.#end === undefined && !poller.isAwake(this)) this.#awake();
  }

  sleep(): boolean {
    this.#patience.rest(this.isAwaited);
    try {
      if (this.#isWaiting && !this.#writer.waitUntilRead(highWaterBytes)) return false;
      return this.#reader.sleep();
    } catch (error) {
      this.#ended(error as Error);
      return true;
    }
  }

  // No closure: this is on the way of every frame.
  #place(byteLength: number): number {
    try {
      return this.#writer.place(byteLength);
    } catch (error) {
      this.#endSoon(error as Error);
      return -1;
    }
  }

  // What throws is a peer that says what cannot be; it is the end.
  #check(step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      this.#endSoon(error as Error);
      return false;
    }
  }

  // Not at once: this is called from the middle of whatever the layer above does.
  #endSoon(error: Error): void {
    if (this.#fault !== undefined) return;
    this.#fault = error;
    setImmediate(() => this.#ended(error));
  }

  #moveSpare(): void {
    const spare = this.#spare;
    spare.taken(this.#writer.copy(spare.buffer, spare.head, spare.tail));
  }

  // Whoever has more to write than there should be unread must hear when it is read.
  #waitIfFull(): void {
    if (this.#isWaiting) return;
    const isFull = this.#spare.byteCount > 0 || this.#writer.unreadBytes > highWaterBytes;
    if (!isFull) return;
    this.#isWaiting = true;
    // It is looked for, and asked for by who goes to sleep.
    this.#patience.expectMore();
    this.#awake();
  }

  #hasRoom(): boolean {
    return this.#check(() => this.#writer.look()) && this.#writer.unreadBytes <= highWaterBytes;
  }

  #awake(): void {
    if (!poller.isAwake(this)) this.#reader.wake();
    poller.wake(this);
  }

  #found(wasAwaited: boolean): void {
    const now = nowNs();
    const patience = this.#patience;
    this.#writer.tellBusy(patience.found(now, wasAwaited, this.#reader.busyCount));
    if (!this.#hasAnswered) return;
    this.#hasAnswered = false;
    patience.expectRequest(now);
  }

  #rung(): void {
    if (this.#isClosed || this.#end !== undefined) return;
    if (this.#isWaiting) this.#wasRead();
    if (!poller.isAwake(this)) this.#reader.wake();
    poller.look(this);
  }

  #wasRead(): void {
    if (this.#isClosed) return;
    this.#isWaiting = false;
    this.flush();
    if (!this.isCongested) this.#receiver?.writable();
  }

  #deliver(maxBytes = turnBytes): void {
    this.#isDelivering = true;
    try {
      // A peer that never stops must not keep everything else waiting.
      for (let taken = 0; taken < maxBytes;) {
        const byteCount = this.#reader.byteCount;
        if (byteCount === 0 || this.#receiver === undefined) break;
        this.#isAnswerDue = true;
        taken += this.#taker.take(this.#receiver, byteCount);
        if (this.#reader.takeWait()) this.#doorbell.ring();
      }
    } finally {
      this.#isDelivering = false;
    }
    if (this.#taker.isWithin) this.#patience.expectMore();
    else if (!this.#isWaiting) this.#patience.expectNoMore();
  }

  #peerGone(cause: Error | undefined): void {
    if (this.#isPeerGone) return;
    this.#isPeerGone = true;
    this.#lastWords();
    this.#ended(cause);
  }

  // What the other side wrote before it went is still there.
  #lastWords(): void {
    try {
      this.#deliver(ringBytes);
    } catch {
      // It does not matter any more what it says.
    }
  }

  #ended(cause: Error | undefined): void {
    if (this.#end !== undefined || this.#isClosed) return;
    this.#end = { cause };
    poller.remove(this);
    this.#receiver?.ended(cause);
  }
}
