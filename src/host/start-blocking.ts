// Starts a plugin for a host that cannot await.

import { blockingIo } from "../process/blocking-io.ts";
import { noBlocking } from "./blocking-call.ts";
import { failureBlocking, outcomeBlocking } from "./first-answer.ts";
import { ask, connect, type PluginStart, type StartedPlugin } from "./start-plugin.ts";

/**
 * {@link startPlugin}, without the event loop.
 *
 * @throws {PlugError} What that rejects with, or `unimplemented`: nothing can block here.
 */
export function startPluginBlocking(start: PluginStart): StartedPlugin {
  const { program, options } = start;
  const io = blockingIo();
  if (io === undefined) throw noBlocking(`the load of "${program.name}"`);
  const asked = ask(start, true);
  const { child, reader, stdio } = asked;
  // Nobody waits for the promise.
  reader.outcome.catch(() => {});
  try {
    const started = connect(start, asked, outcomeBlocking(asked, options, io));
    // Bytes that Bun's reader has in hand cannot be waited for, so what the protocol runs on is
    // read by whoever blocks alone.
    for (const source of child.printed) {
      if (source !== child.stdout || started.transport !== stdio) source.leaveToLoop();
    }
    return started;
  } catch (error) {
    asked.offered.close();
    throw failureBlocking(error, program, asked, io);
  }
}
