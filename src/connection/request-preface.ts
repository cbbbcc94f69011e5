// What a request says beside its message: the object that it is for, and its headers.

import type { OutgoingCall } from "../call/outgoing-call.ts";
import { encodePreface } from "../frame/preface.ts";
import { encodeMetadata } from "../metadata/metadata-block.ts";
import { Metadata } from "../metadata/metadata.ts";

/**
 * Undefined if there is nothing to say, as with most calls.
 *
 * @throws {PlugError} `invalid_argument` or `resource_exhausted`: headers that cannot be sent.
 */
export function requestPreface(call: OutgoingCall, maxHeaderBytes: number): Uint8Array | undefined {
  const { terms, parent, route } = call;
  const inherited = parent?.headers;
  if (terms === undefined || (terms.headers === undefined && inherited === undefined)) {
    return encodePreface(route.objectId, undefined);
  }
  const headers = new Metadata(terms.headers);
  if (inherited !== undefined && (terms as unknown) !== parent) {
    // What the call says itself goes before what it has from its parent.
    const own = new Metadata(headers);
    for (const [name, value] of inherited) if (!own.has(name)) headers.append(name, value);
  }
  const bytes = encodeMetadata(headers, maxHeaderBytes, `headers of ${call.name}`);
  call.hasHeaders = bytes.byteLength > 0;
  return encodePreface(route.objectId, bytes);
}
