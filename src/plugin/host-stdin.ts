// The host's first frame, from stdin, before anything else happens.

import { PlugError } from "../error/plug-error.ts";
import { OfferReader } from "../handshake/plugin-handshake.ts";
import { isPipeOrSocket, readDescriptor } from "../process/descriptor.ts";
import { nodeFs } from "../transport/node-fs.ts";

const stdin = 0;
const retryMs = 1;

/**
 * Reads the offer without giving way to other code: until the answer is out, a print of the plugin
 * would stand in its place. The host has written the offer before the plugin was started, so there
 * is nothing to wait for.
 *
 * @returns the offer, and what came behind it.
 * @throws {PlugError} `failed_precondition`: stdin does not come from a host.
 */
export function readOffer(): { readonly offer: OfferReader; readonly rest: Uint8Array } {
  checkStdin();
  const offer = new OfferReader();
  const buffer = new Uint8Array(4096);
  for (;;) {
    const byteCount = readSome(buffer);
    if (byteCount === 0) {
      throw new PlugError("unavailable", "stdin was closed before a host had said anything");
    }
    const end = offer.push(buffer.subarray(0, byteCount));
    if (end !== undefined) return { offer, rest: buffer.slice(end, byteCount) };
  }
}

function readSome(buffer: Uint8Array): number {
  for (;;) {
    try {
      return readDescriptor(stdin, buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      // Somebody made it non-blocking; what is to come is on its way.
      Bun.sleepSync(retryMs);
    }
  }
}

function checkStdin(): void {
  if (isPipeOrSocket(stdin)) return;
  let what: string;
  try {
    const stats = nodeFs().fstatSync(stdin);
    what = stats.isFile()
      ? "a file"
      : stats.isCharacterDevice()
        ? "a terminal or device"
        : "not a pipe";
  } catch {
    what = "closed";
  }
  throw new PlugError(
    "failed_precondition",
    `this program is a plugin, and its stdin is ${what}: a host starts it, with load… of bun-plug`,
  );
}
