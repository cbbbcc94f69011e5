// Says on stderr how far a run is: one line that changes on a terminal, else a line now and then.

const lineEveryMs = 10_000;

export class Progress {
  readonly #isTerminal: boolean;
  readonly #write: (text: string) => void;
  #expected = 0;
  #done = 0;
  #startedAt = 0;
  #saidAt = 0;

  constructor(stream: Pick<NodeJS.WriteStream, "write" | "isTTY"> = process.stderr) {
    this.#isTerminal = stream.isTTY;
    this.#write = (text) => void stream.write(text);
  }

  /** What is to come, in any unit. */
  expect(amount: number): void {
    this.#expected = amount;
    this.#startedAt = performance.now();
  }

  advance(amount: number): void {
    this.#done += amount;
  }

  say(text: string): void {
    const line = `${this.#state()}${text}`;
    if (this.#isTerminal) {
      this.#write(`\r\x1b[K${line}`);
    } else if (performance.now() - this.#saidAt >= lineEveryMs) {
      this.#saidAt = performance.now();
      this.#write(`${line}\n`);
    }
  }

  /** Before something else is printed. */
  clear(): void {
    if (this.#isTerminal) this.#write("\r\x1b[K");
  }

  #state(): string {
    if (this.#expected === 0) return "";
    const share = this.#done / this.#expected;
    const percent = `${Math.floor(share * 100)} %`.padStart(5);
    if (share === 0) return `${percent}  `;
    const leftSeconds = ((performance.now() - this.#startedAt) / 1000) * (1 / share - 1);
    const minutes = Math.floor(leftSeconds / 60);
    const seconds = Math.floor(leftSeconds % 60);
    return `${percent}, ${minutes}:${String(seconds).padStart(2, "0")} left  `;
  }
}
