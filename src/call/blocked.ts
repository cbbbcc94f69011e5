// While a caller blocks: what the peer asks meanwhile.
//
// The event loop stands still until the caller has its answer, and the peer may need something of
// this side before it can give it. So calls that come in meanwhile are run by whoever waits, between
// two chunks of frames: a handler may block in its turn.

type Task = () => void;

class Blocked {
  #depth = 0;
  readonly #tasks: Task[] = [];

  /** Somebody blocks: nothing that takes a turn of the event loop can be done. */
  get isBlocked(): boolean {
    return this.#depth > 0;
  }

  enter(): void {
    this.#depth += 1;
  }

  leave(): void {
    this.#depth -= 1;
    // What was left over when the answer came waits for nobody any more.
    if (this.#depth === 0 && this.#tasks.length > 0) queueMicrotask(() => this.run());
  }

  /** Runs it soon. It must not throw. */
  add(task: Task): void {
    this.#tasks.push(task);
  }

  /** Runs what has been added. Returns whether there was something. */
  run(): boolean {
    let task = this.#tasks.shift();
    if (task === undefined) return false;
    // One by one: a task that blocks in its turn must find those behind it.
    for (; task !== undefined; task = this.#tasks.shift()) task();
    return true;
  }
}

/** Of this thread. */
export const blocked = new Blocked();
