// One frame as one readable line, for PLUG_TRACE=1.

import { FrameFlag, FrameKind, kindName } from "./frame-header.ts";

/** Set to `1`, in the host's environment or the plugin's, to see each frame on stderr. */
export const traceVariable = "PLUG_TRACE";

const flagNames = Object.entries(FrameFlag);

/** Such as `plug > request #7 method 2, 14 bytes, deadline`. */
export function traceLine(
  name: string,
  direction: ">" | "<",
  kind: number,
  flags: number,
  methodId: number,
  requestId: number,
  payloadBytes: number,
): string {
  const who = kind === 0 ? `frame 0x${methodId.toString(16).padStart(4, "0")}` : kindName(kind);
  const id = kind === 0 ? "" : ` #${requestId}`;
  const method = kind === FrameKind.Request ? ` method ${methodId}` : "";
  const flagText = flagNames
    // Which side's id it is goes without saying on the two kinds that say it most.
    .filter(
      ([, bit]) => (flags & bit) !== 0 && (bit !== FrameFlag.FromCallee || kind > FrameKind.Error),
    )
    .map(([flag]) => `, ${flag.replaceAll(/(?<=.)[A-Z]/g, " $&").toLowerCase()}`)
    .join("");
  return `[plug ${name}] ${direction} ${who}${id}${method}, ${payloadBytes} bytes${flagText}`;
}
