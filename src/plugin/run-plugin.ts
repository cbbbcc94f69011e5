// A plugin's main: answers one host, and resolves when that has gone.

import type { ConnectionEvents } from "../call/client-connection.ts";
import { asPlugError, isPlugError, PlugError } from "../error/plug-error.ts";
import { traceLine, traceVariable } from "../frame/trace-line.ts";
import type { HelloTransport } from "../handshake/hello.ts";
import { closeDescriptor, isSocket } from "../process/descriptor.ts";
import { mapMemory } from "../process/shared-memory.ts";
import type { Decision, ServedService } from "../handshake/plugin-handshake.ts";
import { beBunVariable, noOrphansVariable } from "../process/plugin-environment.ts";
import { checkServed, type Pair, type Served } from "../rpc/handler.ts";
import { newOrigin } from "../rpc/peer-services.ts";
import type { Service } from "../rpc/service.ts";
import { descriptorSource } from "../transport/byte-source.ts";
import { ringMemoryBytes } from "../transport/ring-memory.ts";
import { RingTransport } from "../transport/ring-transport.ts";
import { socketTransport } from "../transport/socket-transport.ts";
import { StdioTransport } from "../transport/stdio-transport.ts";
import type { Transport } from "../transport/transport.ts";
import { readOffer } from "./host-stdin.ts";
import { type CheckedRunOptions, checkedRunOptions, type RunOptions } from "./run-options.ts";
import { serve, servedServices } from "./serve.ts";
import { guardStdio, writeWhole } from "./stdout-guard.ts";

// When the host has gone, something that the plugin has left running may keep the process alive.
const exitWithinMs = 1_000;
const stdout = 1;

/** One pair for each handler type. */
export type Pairs<Handlers extends readonly object[]> = {
  readonly [I in keyof Handlers]: Pair<Handlers[I]>;
};

/**
 * Answers the host that started this process, with several services:
 * `await runPlugin([KV, kvHandler], [Logger, logHandler])`.
 *
 * Resolves when the host has gone and the handlers that ran are through; the process then ends by
 * itself, or is ended a second later. The last argument may be options.
 *
 * @throws {PlugError} `failed_precondition`: this process was not started by a host.
 * @throws {PlugError} `handshake_mismatch`: the host wants something else; it is told so.
 * @throws {PlugError} `protocol_error`: the host broke the wire format.
 * @throws {PlugError} `invalid_argument`: a handler lacks a method, or an option is wrong.
 */
export function runPlugin<Handlers extends readonly object[]>(
  ...pairs: Pairs<Handlers>
): Promise<void>;
export function runPlugin<Handlers extends readonly object[]>(
  ...pairsAndOptions: readonly [...Pairs<Handlers>, RunOptions]
): Promise<void>;
export async function runPlugin(...args: readonly (Pair<object> | RunOptions)[]): Promise<void> {
  const pairs = args.filter((arg) => Array.isArray(arg)) as unknown as readonly Pair<object>[];
  const options = args.find((arg) => !Array.isArray(arg)) as RunOptions | undefined;
  await run(
    pairs.map(([service, handler]) => ({ service, handler })),
    options ?? {},
  );
}

/** {@link runPlugin} for one service. */
export async function runService<C extends object, H extends object>(
  service: Service<C, H>,
  handler: H,
  options: RunOptions = {},
): Promise<void> {
  await run([{ service: service as unknown as Service<object, object>, handler }], options);
}

let isRunning = false;

async function run(served: readonly Served[], runOptions: RunOptions): Promise<void> {
  if (isRunning) {
    throw new PlugError(
      "failed_precondition",
      "run… was called twice in one process; runPlugin takes several services",
    );
  }
  isRunning = true;
  try {
    await serveHost(served, runOptions);
  } catch (error) {
    forgetHostVariables();
    // What went wrong is said in one line; where in this package it was thrown helps nobody.
    if (isPlugError(error)) error.stack = `${error.name}: ${error.message}`;
    throw error;
  }
}

async function serveHost(served: readonly Served[], runOptions: RunOptions): Promise<void> {
  // From here until the answer is out, no other code runs: a print would stand in its place.
  const { offer, rest } = readOffer();
  let options: CheckedRunOptions;
  let tables: ServedService[];
  try {
    options = checkedRunOptions(runOptions);
    if (served.length === 0) throw new PlugError("invalid_argument", "there is no service to run");
    checkServed(served);
    tables = servedServices(served, options);
  } catch (error) {
    const why = `the plugin cannot run: ${asPlugError(error).rawMessage}`;
    writeWhole(stdout, offer.refuse(new PlugError("start_failed", why)));
    throw error;
  }
  const origin = newOrigin();
  const decision = offer.decide(tables, options.limits, origin);
  if (decision.wire === undefined) {
    writeWhole(stdout, decision.answer);
    throw decision.error;
  }
  const { answer, connect } = attach(decision, options);
  // First of all, so that the host goes on while the rest is made ready.
  answer();
  const transport = connect();
  forgetHostVariables();
  const onFrame = frameTracer();
  const serving = serve({ decision, served, options, transport, origin, onFrame });
  transport.start(serving.receiver);
  if (rest.byteLength > 0) serving.receiver.receive(rest, 0, rest.byteLength);

  const stopCrashing = crashOnUncaught();
  try {
    await serving.ended;
  } finally {
    stopCrashing();
    setTimeout(() => process.exit(), exitWithinMs).unref();
  }
}

// They were for this process; what it starts shall not be told the same.
function forgetHostVariables(): void {
  delete process.env[beBunVariable];
  delete process.env[noOrphansVariable];
}

// What nobody catches ends a process. Bun 1.4.5 prints it and goes on, while a top-level await is
// pending and a pipe is being read, so it is helped; a listener of the plugin's own has precedence.
function crashOnUncaught(): () => void {
  const events = ["uncaughtException", "unhandledRejection"] as const;
  const stops = events.map((event) => {
    const onUncaught = (error: unknown): void => {
      if (process.listenerCount(event) > 1) return;
      console.error(error);
      process.exit(1);
    };
    process.on(event, onUncaught);
    return () => process.off(event, onUncaught);
  });
  return () => stops.forEach((stop) => stop());
}

/** What the plugin attaches to: it says so, and then makes the transport. */
interface Attachment {
  readonly answer: () => void;
  readonly connect: () => Transport;
}

/** The best transport that both sides have. stdio is always there. */
function attach(
  decision: Exclude<Decision, { wire: undefined }>,
  options: CheckedRunOptions,
): Attachment {
  if (decision.wire === 1) return attachStdio(decision.answer);
  for (const offered of decision.transports) {
    const connect = transportOf(offered, options);
    if (connect !== undefined) {
      return { answer: () => writeWhole(stdout, decision.answer(offered)), connect };
    }
  }
  return attachStdio(decision.answer({ kind: "stdio", fds: [] }));
}

function transportOf(
  { kind, fds }: HelloTransport,
  { poll }: CheckedRunOptions,
): Attachment["connect"] | undefined {
  const [socketFd, memoryFd] = fds;
  if (socketFd === undefined || !isSocket(socketFd)) return undefined;
  if (kind === "socket") return () => socketTransport(socketFd);
  if (kind !== "ring" || memoryFd === undefined) return undefined;
  const memory = ringMemory(memoryFd);
  return memory && (() => new RingTransport({ memory, side: "plugin", socketFd, poll }));
}

function ringMemory(fd: number): Uint8Array | undefined {
  try {
    if (Bun.file(fd).size !== ringMemoryBytes) return undefined;
    const memory = mapMemory(fd);
    closeDescriptor(fd);
    return memory;
  } catch {
    return undefined; // the next transport, then
  }
}

function attachStdio(answer: Uint8Array): Attachment {
  const { readFd, writeFd, isNonBlocking } = guardStdio();
  return {
    answer: () => writeWhole(writeFd, answer),
    connect: () =>
      new StdioTransport(descriptorSource({ fd: readFd }), { fd: writeFd, isNonBlocking }),
  };
}

function frameTracer(): ConnectionEvents["onFrame"] {
  if (process.env[traceVariable] !== "1") return undefined;
  const [name] = (process.argv[1] ?? "plugin").split("/").slice(-1);
  return (...frame) => console.error(traceLine(`${name} ${process.pid}`, ...frame));
}
