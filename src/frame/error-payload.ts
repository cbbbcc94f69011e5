// The payload of an error frame: what of an error crosses to the other side.
//
//   message Error {
//     string code = 1;
//     string message = 2;
//     repeated google.protobuf.Any details = 3;
//     string stack = 4;
//   }

import { type ErrorCode, errorCodes, isErrorCode } from "../error/error-code.ts";
import { type ErrorDetail, isPlugError, PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import { eachField, FieldWriter, textOfField, WireType } from "../protobuf/fields.ts";

/** Longer messages are cut: an error is for reading. */
export const maxErrorMessageChars = 8 * 1024;

/** Who says it: a handler may not use the codes that the runtime alone raises. */
export type ErrorSpeaker = "handler" | "runtime";

/**
 * More than that, and the details are left out. An error goes out in one frame, with the longest
 * trailers: 24 KiB of text, as much of details, stack and a note, and 16 KiB of trailers.
 */
export const maxErrorDetailBytes = 16 * 1024;
// A tag and a length.
const detailTagBytes = 4;
const maxStackChars = 2 * 1024;

/**
 * A failure, as a handler may have thrown it: `PlugError` or anything else. Its stack goes along
 * with `exposeStack` alone.
 */
export function encodeError(
  error: unknown,
  speaker: ErrorSpeaker = "handler",
  exposeStack = false,
): Uint8Array {
  const { code, message } = errorText(error, speaker);
  const details = detailsOf(error).map(encodeDetail);
  const detailBytes = details.reduce((sum, { byteLength }) => sum + byteLength + detailTagBytes, 0);
  const isTooMuch = detailBytes > maxErrorDetailBytes;
  const note = isTooMuch
    ? ` (its details were left out: ${detailBytes} bytes, more than ${maxErrorDetailBytes})`
    : "";
  const writer = new FieldWriter().string(1, code).string(2, message + note);
  if (!isTooMuch) for (const detail of details) writer.bytes(3, detail);
  const stack = exposeStack ? stackOf(error) : "";
  if (stack !== "") writer.string(4, stack);
  return writer.finish();
}

// It may be of another copy of this package, older or newer, or have been tampered with.
function detailsOf(error: unknown): readonly ErrorDetail[] {
  if (!isPlugError(error)) return [];
  const { details } = error as { readonly details: unknown };
  return Array.isArray(details) ? details.filter(isDetail) : [];
}

function isDetail(value: Partial<ErrorDetail> | null | undefined): value is ErrorDetail {
  return typeof value?.typeUrl === "string" && value.value instanceof Uint8Array;
}

function encodeDetail({ typeUrl, value }: ErrorDetail): Uint8Array {
  return new FieldWriter().string(1, typeUrl).bytes(2, value).finish();
}

function decodeDetail(bytes: Uint8Array): ErrorDetail {
  let typeUrl = "";
  let value: Uint8Array = new Uint8Array(0);
  eachField(bytes, (field, wireType, _number, bytes) => {
    if (wireType !== WireType.LengthDelimited) return;
    if (field === 1) typeUrl = textOfField(bytes);
    else if (field === 2) value = bytes;
  });
  return { $typeName: "google.protobuf.Any", typeUrl, value };
}

function stackOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.stack ?? "").slice(0, maxStackChars) : "";
  } catch {
    return ""; // a getter of whoever threw it
  }
}

/** The code and the text that the caller will see. */
export function errorText(
  error: unknown,
  speaker: ErrorSpeaker = "handler",
): { readonly code: ErrorCode; readonly message: string } {
  if (isPlugError(error)) {
    // It may be of another copy of this package, older or newer.
    const { code, rawMessage } = error as { readonly code: unknown; readonly rawMessage: unknown };
    // Also draining: whoever reads it takes it for a call that was not started.
    const said = speaker === "handler" && code === "draining" ? "unknown" : String(code);
    return { code: permitted(said, speaker), message: cutText(String(rawMessage)) };
  }
  return { code: "unknown", message: cutText(textOf(error)) };
}

/**
 * Rebuilds a failure that the peer reported. Only the fields named here cross over; what it keeps
 * of the bytes is copied.
 *
 * Bytes that are not an error give an error that says so; this never throws.
 */
export function decodeError(payload: Uint8Array, speaker: ErrorSpeaker = "handler"): PlugError {
  let code = "";
  let message = "";
  let peerStack: string | undefined;
  let details: ErrorDetail[] = [];
  try {
    eachField(payload.slice(), (field, wireType, _number, bytes) => {
      if (wireType !== WireType.LengthDelimited) return;
      if (field === 1) code = textOfField(bytes);
      else if (field === 2) message = textOfField(bytes);
      else if (field === 3) details.push(decodeDetail(bytes));
      else if (field === 4) peerStack = textOfField(bytes);
    });
  } catch {
    message = `an error of ${payload.byteLength} bytes that could not be read`;
    details = [];
  }
  return new PlugError(permitted(code, speaker), cutText(message), {
    origin: "peer",
    details,
    peerStack,
  });
}

// Codes that say how a connection ended must not come out of a handler: a caller that sees
// plugin_exited would start another plugin. That a callee drains is said in the answer to a call.
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
