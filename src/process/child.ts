// One plugin process: started, watched, listened to, killed.
//
// Must not know what the bytes on its streams mean.

import { closeSync } from "node:fs";

import { PlugError, type ProcessEnd } from "../error/plug-error.ts";
import {
  type BlockingSource,
  type ByteSource,
  descriptorSource,
  streamSource,
} from "../transport/byte-source.ts";
import { type BunSink, type ByteTarget } from "../transport/stdio-transport.ts";
import type { BlockingIo, ExitStatus } from "./blocking-io.ts";
import { libc } from "./libc.ts";
import { LineReader } from "./line-reader.ts";
import { spawnFailure } from "./start-failure.ts";
import { within } from "./within.ts";

// The last words that error texts quote: enough for an error as Bun prints it, with an excerpt of
// the source before it and the stack behind it.
const tailLines = 20;
// After the process has ended, something that it started may hold its stderr open for ever.
const lastWordsMs = 100;

export interface ChildOptions {
  /** An absolute path. */
  readonly path: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  /** Make a socket for the plugin's descriptor 3. */
  readonly hasSocket: boolean;
  /** Becomes the plugin's descriptor 4. Only with a socket. */
  readonly memoryFd: number | undefined;
  /**
   * What it prints is read by whoever waits without the event loop, until `leaveToLoop` is called.
   */
  readonly isBlocking?: boolean | undefined;
  /** Told each line that the process writes on stderr. */
  readonly onLine: (text: string) => void;
}

/** The plugin's end of the socket, in the plugin. */
export const socketFdInChild = 3;
/** The shared memory, in the plugin. */
export const memoryFdInChild = 4;

export class Child {
  readonly pid: number;
  /** What comes from the plugin's stdout. Belongs to whoever uses it. */
  readonly stdout: ByteSource;
  /** What goes to the plugin's stdin. Belongs to whoever uses it. */
  readonly stdin: ByteTarget;
  /** Whether stdin and stdout are FIFOs, as plugins of the Go original demand. */
  readonly hasFifos: boolean;
  /** The host's end of the socket. Belongs to whoever uses it. */
  readonly socketFd: number | undefined;
  /** How the process ended, once it has. */
  readonly ended: Promise<ProcessEnd>;
  readonly #process: Bun.Subprocess;
  readonly #stderr: ByteSource;
  // Known before the event loop has turned.
  #status: ExitStatus | undefined;
  readonly #tail: string[] = [];

  /** @throws {PlugError} `start_failed`: says why. */
  constructor(options: ChildOptions) {
    const streams = openStreams(options.path);
    try {
      this.#process = Bun.spawn({
        cmd: [...options.command],
        env: options.env,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        // A session of its own, so that the whole group can be killed, and so that Ctrl-C in the
        // host's terminal is the host's to deal with.
        detached: true,
        lazy: true,
        stdio: [
          ...streams.child,
          ...(options.hasSocket ? ["socket-fd"] : []),
          ...(options.memoryFd === undefined ? [] : [options.memoryFd]),
        ] as never,
      });
    } catch (error) {
      streams.close();
      throw spawnFailure(options.path, options.cwd, error);
    }
    streams.started();
    this.pid = this.#process.pid;
    this.hasFifos = streams.hasFifos;
    this.socketFd = options.hasSocket
      ? (this.#process.stdio[socketFdInChild] as unknown as number)
      : undefined;
    ({
      stdin: this.stdin,
      stdout: this.stdout,
      stderr: this.#stderr,
    } = streams.own(this.#process, options.isBlocking ?? false));
    const stderrEnded = this.#readStderr(options.onLine);
    this.ended = this.#process.exited.then(() => this.#lastWords(stderrEnded));
  }

  /** How the process ended, or undefined while it runs. Known a little before {@link ended}. */
  get end(): ProcessEnd | undefined {
    const { exitCode, signalCode } = this.#process;
    const isKnown = exitCode !== null || signalCode !== null || this.#status !== undefined;
    return isKnown ? this.#describeEnd() : undefined;
  }

  /** The same for a caller without the event loop, who asks the kernel. */
  endNow(io: BlockingIo): ProcessEnd | undefined {
    this.#status ??= io.exitStatus(this.pid);
    return this.end;
  }

  /** What it prints, for a caller without the event loop; empty where that cannot be had. */
  get printed(): readonly BlockingSource[] {
    const sources = [this.stdout, this.#stderr];
    return sources.filter((source): source is BlockingSource => "readNow" in source);
  }

  /** The last lines of stderr, so far. */
  get stderrTail(): readonly string[] {
    return [...this.#tail];
  }

  /** Sends a signal to the process and to what it has started. Never throws. */
  kill(signal: "SIGTERM" | "SIGKILL"): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // The group is gone, or it never came to be one: then there is the process alone.
      this.#process.kill(signal);
    }
  }

  /** Gives up on its last words. */
  closeStderr(): void {
    this.#stderr.close();
  }

  ref(): void {
    this.#process.ref();
    this.#stderr.ref();
  }

  unref(): void {
    this.#process.unref();
    this.#stderr.unref();
  }

  #readStderr(onLine: (text: string) => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const lines = new LineReader((text) => {
      this.#tail.push(text);
      if (this.#tail.length > tailLines) this.#tail.shift();
      onLine(text);
    });
    this.#stderr.start({
      chunk: (bytes) => lines.push(bytes),
      end: () => {
        lines.end();
        resolve();
      },
    });
    return promise;
  }

  async #lastWords(stderrEnded: Promise<void>): Promise<ProcessEnd> {
    await within(stderrEnded, lastWordsMs);
    this.#stderr.close();
    return this.#describeEnd();
  }

  #describeEnd(): ProcessEnd {
    const { stderrTail } = this;
    const { exitCode, signalCode } = this.#process;
    if (exitCode === null && signalCode === null && this.#status !== undefined) {
      return { ...this.#status, stderrTail };
    }
    // Bun gives a number for a signal that it has no name for.
    const signal = signalCode === null ? null : String(signalCode);
    return { exitCode, signal, stderrTail };
  }
}

/** In words, for error texts: `"exited with code 3"`. */
export function endText({ exitCode, signal }: ProcessEnd): string {
  if (signal !== null) return `was killed by ${signal}`;
  return `exited with code ${exitCode}`;
}

interface OwnStreams {
  readonly stdin: ByteTarget;
  readonly stdout: ByteSource;
  readonly stderr: ByteSource;
}

interface ChildStreams {
  /** For `Bun.spawn`. */
  readonly child: readonly ("pipe" | number)[];
  readonly hasFifos: boolean;
  /** The child has its ends: gives back the host's copies of them. */
  started(): void;
  /** The host's ends. */
  own(process: Bun.Subprocess, isBlocking: boolean): OwnStreams;
  /** The child was not started: gives everything back. */
  close(): void;
}

// Plugins of the Go original work with FIFOs only, which Bun.spawn does not make, and nobody can
// know beforehand what a program is: so every plugin gets FIFOs, where they are to be had.
function openStreams(path: string): ChildStreams {
  const c = libc();
  if (c === undefined) return pipeStreams;
  const pipes: { readonly readFd: number; readonly writeFd: number }[] = [];
  try {
    for (let i = 0; i < 3; i++) pipes.push(c.pipe());
  } catch (error) {
    for (const pipe of pipes) closeAll(pipe.readFd, pipe.writeFd);
    throw new PlugError("start_failed", `cannot start "${path}": ${(error as Error).message}`);
  }
  const [stdin, stdout, stderr] = pipes as [Pipe, Pipe, Pipe];
  const source = ({ readFd: fd }: Pipe, isBlocking: boolean): ByteSource => {
    c.setNonBlocking(fd, "read");
    return descriptorSource({ fd, isBlocking });
  };
  return {
    child: [stdin.readFd, stdout.writeFd, stderr.writeFd],
    hasFifos: true,
    started: () => closeAll(stdin.readFd, stdout.writeFd, stderr.writeFd),
    own: (_process, isBlocking) => ({
      stdin: { fd: stdin.writeFd, isNonBlocking: c.setNonBlocking(stdin.writeFd, "write") },
      stdout: source(stdout, isBlocking),
      stderr: source(stderr, isBlocking),
    }),
    close: () => pipes.forEach((pipe) => closeAll(pipe.readFd, pipe.writeFd)),
  };
}

interface Pipe {
  readonly readFd: number;
  readonly writeFd: number;
}

const pipeStreams: ChildStreams = {
  child: ["pipe", "pipe", "pipe"],
  hasFifos: false,
  started() {},
  own: ({ stdin, stdout, stderr }) => ({
    stdin: { sink: stdin as unknown as BunSink },
    stdout: streamSource(stdout as ReadableStream<Uint8Array>),
    stderr: streamSource(stderr as ReadableStream<Uint8Array>),
  }),
  close() {},
};

function closeAll(...fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}
