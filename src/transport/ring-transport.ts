// Shared memory with a socket as the doorbell: frames are written where the other side reads them.
//
// No system call while both sides are awake. See ring-memory.ts for the memory, and poller.ts for
// who is awake and for how long.

import { availableParallelism } from "node:os";

import { type DoorbellSocket, connectDoorbell } from "./doorbell.ts";
import { poller, type Pollable } from "./poller.ts";
import { ringBytes, ringEnds, type RingReader, type RingWriter } from "./ring-memory.ts";
import { SendBuffer } from "./send-buffer.ts";
import type { Receiver, Transport } from "./transport.ts";

/** Beyond so many unread bytes, bulk data waits, so that small frames find the way clear. */
const highWaterBytes = 64 * 1024;
// What a receiver is given at a time: the writer gets the room back piece by piece.
const maxChunkBytes = 64 * 1024;
// So much of something long: the writer copies the next piece in while this one is copied out.
const maxPartBytes = 16 * 1024;
// Within something long it is given little more than the header of a piece, and says where that goes.
const maxHeadBytes = 512;
// What is taken before those who waited for it, and everything else, have their turn.
const turnBytes = 64 * 1024;
// How long it is worth looking for an answer.
const pollNs = 50_000;
// Who is in the middle of something long looks for more of it, or for room, so long. It must be
// longer than waking takes, or each side goes to sleep just before the other one is awake.
const bulkPollNs = 200_000;
// After an answer, the next request is looked for so long, if this one came so soon after the last.
const shortPauseNs = 150_000;
// The other side may start on the first frames of a turn while the others are being written.
const publishFrames = 8;
// Whoever has looked in vain lets some occasions pass, twice as many each time, up to so many.
const maxSkipCount = 31;

export interface RingTransportOptions {
  /** Both rings, zeroed before either side starts. */
  readonly memory: Uint8Array;
  readonly side: "host" | "plugin";
  /** A connected socket; it belongs to the transport from now on. */
  readonly socketFd: number;
  /** Look at the memory before sleeping. @defaultValue true, with more than one core */
  readonly poll?: boolean | undefined;
}

export class RingTransport implements Transport, Pollable {
  readonly kind = "ring";
  readonly sent = { writeCount: 0, byteCount: 0 };
  isAwaited = false;
  buffer: Uint8Array;
  view: DataView;
  readonly #memory: Uint8Array;
  readonly #memoryView: DataView;
  readonly #writer: RingWriter;
  readonly #reader: RingReader;
  readonly #doorbell: DoorbellSocket;
  readonly #mayPoll: boolean;
  // What did not fit. While there is something in it, everything goes behind it.
  readonly #spare = new SendBuffer();
  #isInSpare = false;
  #unpublishedFrames = 0;
  // Something has been published since the last flush: for the count of writes.
  #isWriteBegun = false;
  // There is more to write than there should be unread. Who sleeps has asked the reader to ring.
  #isWaiting = false;
  #receiver: Receiver | undefined;
  // What is received is copied out first: the peer may go on writing to the ring, and neither what
  // has been checked nor what Bun's own decoders have measured may change under their hands (Bun
  // 1.4.5 writes past its own memory when a text grows while it is being decoded).
  readonly #chunk = new Uint8Array(maxChunkBytes);
  // Where the receiver wants the next bytes.
  #wanted: Uint8Array | undefined;
  #isDelivering = false;
  // Something went out while the last chunk was taken: it was a request, and has been answered.
  #hasAnswered = false;
  // Until when it is worth looking for an answer, and for another request.
  #answerUntilNs = 0;
  #requestUntilNs = 0;
  // Until when it is worth looking for room, or for more of something long.
  #bulkUntilNs = 0;
  #bulkSkipCount = 0;
  #bulkSkipsLeft = 0;
  #isPeerGone = false;
  #end: { readonly cause: Error | undefined } | undefined;
  #isClosed = false;
  // When something was last taken from the ring.
  #lastTakenNs = 0;
  #skipCount = 0;
  #skipsLeft = 0;

  constructor({ memory, side, socketFd, poll = true }: RingTransportOptions) {
    const { writer, reader } = ringEnds(memory, side);
    this.#writer = writer;
    this.#reader = reader;
    this.#memory = memory;
    this.#memoryView = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.buffer = memory;
    this.view = this.#memoryView;
    this.#mayPoll = poll && availableParallelism() > 1;
    this.#doorbell = connectDoorbell(socketFd, {
      rung: () => this.#rung(),
      gone: (cause) => this.#peerGone(cause),
    });
  }

  get pollUntilNs(): number {
    const untilNs = Math.max(this.#bulkUntilNs, this.#requestUntilNs);
    return this.isAwaited && this.#answerUntilNs > untilNs ? this.#answerUntilNs : untilNs;
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
    this.#wanted = undefined;
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
    if (this.#unpublishedFrames >= publishFrames) this.#publish();
  }

  flush(): void {
    if (this.#isClosed || this.#end !== undefined) return;
    if (this.#spare.byteCount > 0) this.#check(() => this.#moveSpare());
    const isAwake = this.#publish();
    if (this.#isWriteBegun) this.sent.writeCount += 1;
    this.#isWriteBegun = false;
    this.#waitIfFull();
    // Whoever was asleep takes a while to wake: nothing is looked for meanwhile.
    if (isAwake && this.isAwaited && !this.#isDelivering) this.#expect();
  }

  // Lets the other side see what is written. Returns whether it was awake.
  #publish(): boolean {
    this.#unpublishedFrames = 0;
    const byteCount = this.#writer.publish();
    if (byteCount === 0) return true;
    this.#isWriteBegun = true;
    this.sent.byteCount += byteCount;
    if (this.#isDelivering) this.#hasAnswered = true;
    if (!this.#writer.takeSleep()) return true;
    this.#doorbell.ring();
    return false;
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
    try {
      isFound = this.#reader.byteCount > 0;
      if (isFound) this.#deliver();
    } catch (error) {
      this.#ended(error as Error);
      return false;
    }
    if (isFound) this.#found();
    return isFound;
  }

  sleep(): boolean {
    if (this.#answerUntilNs + this.#requestUntilNs > 0) this.#lookedInVain();
    this.#answerUntilNs = 0;
    this.#requestUntilNs = 0;
    if (this.#bulkUntilNs > 0) {
      this.#bulkSkipCount = Math.min(maxSkipCount, this.#bulkSkipCount * 2 + 1);
      this.#bulkSkipsLeft = this.#bulkSkipCount;
    }
    this.#bulkUntilNs = 0;
    try {
      if (this.#isWaiting && !this.#writer.waitUntilRead(highWaterBytes)) return false;
      return this.#reader.sleep();
    } catch (error) {
      this.#ended(error as Error);
      return true;
    }
  }

  #place(byteLength: number): number {
    let at = -1;
    this.#check(() => (at = this.#writer.place(byteLength)));
    return at;
  }

  // What throws is a peer that says what cannot be; it is the end.
  #check(step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      // Not at once: this is called from the middle of whatever the layer above does.
      setImmediate(() => this.#ended(error as Error));
      return false;
    }
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
    this.#expectBulk();
    this.#awake();
  }

  #expectBulk(): void {
    if (!this.#mayPoll) return;
    if (this.#bulkUntilNs > 0) this.#bulkSkipCount >>= 1; // it was worth it
    if (this.#bulkUntilNs > 0 || this.#bulkSkipsLeft === 0) {
      this.#bulkUntilNs = Bun.nanoseconds() + bulkPollNs;
    } else {
      this.#bulkSkipsLeft -= 1;
    }
  }

  #hasRoom(): boolean {
    return this.#check(() => this.#writer.look()) && this.#writer.unreadBytes <= highWaterBytes;
  }

  // An answer is due: worth a look, if it has been worth it lately.
  #expect(): void {
    if (!this.#mayPoll) return;
    if (this.#skipsLeft > 0) {
      this.#skipsLeft -= 1;
      return;
    }
    this.#answerUntilNs = Bun.nanoseconds() + pollNs;
    this.#awake();
  }

  #awake(): void {
    if (!poller.isAwake(this)) this.#reader.wake();
    poller.wake(this);
  }

  // After something was found: is more to be looked for?
  #found(): void {
    const now = Bun.nanoseconds();
    const pause = now - this.#lastTakenNs;
    this.#lastTakenNs = now;
    if (!this.#mayPoll) return;
    if (this.pollUntilNs > 0) this.#skipCount >>= 1; // it was worth it
    if (this.#answerUntilNs > 0) this.#answerUntilNs = now + pollNs;
    if (!this.#hasAnswered) return;
    this.#hasAnswered = false;
    if (pause >= shortPauseNs) {
      this.#requestUntilNs = 0;
    } else if (this.#requestUntilNs === 0 && this.#skipsLeft > 0) {
      this.#skipsLeft -= 1;
    } else {
      this.#requestUntilNs = now + shortPauseNs;
    }
  }

  #lookedInVain(): void {
    this.#skipCount = Math.min(maxSkipCount, this.#skipCount * 2 + 1);
    this.#skipsLeft = this.#skipCount;
  }

  #rung(): void {
    this.#awakeForBell();
  }

  #awakeForBell(): void {
    if (this.#isClosed || this.#end !== undefined) return;
    if (this.#isWaiting) this.#wasRead();
    this.#awake();
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
        const wantedBytes = this.#wanted?.byteLength ?? 0;
        const byteCount = Math.min(
          this.#reader.byteCount,
          this.#reader.bytesToEnd,
          Math.min(wantedBytes, maxPartBytes) ||
            (this.#wanted === undefined ? maxChunkBytes : maxHeadBytes),
        );
        if (byteCount === 0 || this.#receiver === undefined) break;
        const chunk = wantedBytes > 0 ? (this.#wanted as Uint8Array) : this.#chunk;
        const { at } = this.#reader;
        chunk.set(this.#memory.subarray(at, at + byteCount));
        this.#wanted = this.#receiver.receive(chunk, 0, byteCount) ?? undefined;
        this.#reader.advance(byteCount);
        taken += byteCount;
        if (this.#reader.takeWait()) this.#doorbell.ring();
      }
    } finally {
      this.#isDelivering = false;
    }
    if (this.#wanted !== undefined) this.#expectBulk();
    else if (!this.#isWaiting) this.#bulkUntilNs = 0;
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
