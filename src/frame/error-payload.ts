// The payload of an error frame: what of an error crosses to the other side.
//
//   message Error { string code = 1; string message = 2; }

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

import { type ErrorCode, errorCodes, isErrorCode } from "../error/error-code.ts";
import { isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";

/** Longer messages are cut: an error is for reading. */
export const maxErrorMessageChars = 8 * 1024;

/** Who says it: a handler may not use the codes that the runtime alone raises. */
export type ErrorSpeaker = "handler" | "runtime";

/** A failure, as a handler may have thrown it: `PlugError` or anything else. */
export function encodeError(error: unknown, speaker: ErrorSpeaker = "handler"): Uint8Array {
  const { code, message } = errorText(error, speaker);
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(code)
    .tag(2, WireType.LengthDelimited)
    .string(message)
    .finish();
}

/** The code and the text that the caller will see. */
export function errorText(
  error: unknown,
  speaker: ErrorSpeaker = "handler",
): { readonly code: ErrorCode; readonly message: string } {
  if (isPlugError(error)) {
    // It may be of another copy of this package, older or newer.
    const { code, rawMessage } = error as { readonly code: unknown; readonly rawMessage: unknown };
    return { code: permitted(String(code), speaker), message: cutText(String(rawMessage)) };
  }
  return { code: "unknown", message: cutText(textOf(error)) };
}

/**
 * Rebuilds a failure that the peer reported. Only the fields named here cross over.
 *
 * Bytes that are not an error give an error that says so; this never throws.
 */
export function decodeError(payload: Uint8Array, speaker: ErrorSpeaker = "handler"): PlugError {
  let code = "";
  let message = "";
  try {
    const reader = new BinaryReader(payload);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === 1 && wireType === WireType.LengthDelimited) code = reader.string();
      else if (field === 2 && wireType === WireType.LengthDelimited) message = reader.string();
      else reader.skip(wireType, field);
    }
  } catch {
    message = `an error of ${payload.byteLength} bytes that could not be read`;
  }
  return new PlugError(permitted(code, speaker), cutText(message), {
    origin: "peer",
  });
}

// Codes that say how a connection ended must not come out of a handler: a caller that sees
// plugin_exited would start another plugin. A callee that drains is the exception.
function permitted(code: string, speaker: ErrorSpeaker): ErrorCode {
  if (!isErrorCode(code)) return "unknown";
  const isPermitted =
    speaker === "runtime" || errorCodes[code].raisedBy === "anyone" || code === "draining";
  return isPermitted ? code : "unknown";
}

/** Text of a peer, as much as anybody wants to read. */
export function cutText(text: string): string {
  return text.length <= maxErrorMessageChars ? text : `${text.slice(0, maxErrorMessageChars)}…`;
}
