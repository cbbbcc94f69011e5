// What comes between the header of a call's first frame and its message, beside length and
// deadline: the object that it is for, and metadata.
//
//   u32 object id, where the method id is an object's | u32 length, metadata, where the flag says so

const u32Bytes = 4;

/** Undefined if there is nothing to say. `metadata` of no bytes is nothing. */
export function encodePreface(
  objectId: number,
  metadata: Uint8Array | undefined,
): Uint8Array | undefined {
  const hasMetadata = metadata !== undefined && metadata.byteLength > 0;
  if (objectId === 0 && !hasMetadata) return undefined;
  const preface = new Uint8Array(
    (objectId === 0 ? 0 : u32Bytes) + (hasMetadata ? u32Bytes + metadata.byteLength : 0),
  );
  const view = new DataView(preface.buffer);
  let at = 0;
  if (objectId !== 0) {
    view.setUint32(at, objectId, true);
    at += u32Bytes;
  }
  if (hasMetadata) {
    view.setUint32(at, metadata.byteLength, true);
    preface.set(metadata, at + u32Bytes);
  }
  return preface;
}
