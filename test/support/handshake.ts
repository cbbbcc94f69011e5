// The words of a host, by hand, for tests that talk to a plugin without our own host.

/** A message of protobuf: numbers are varints, strings and nested messages have a length. */
export type Fields = readonly (readonly [field: number, value: number | string | Fields])[];

export function protobuf(fields: Fields): Buffer {
  return Buffer.concat(
    fields.map(([field, value]) => {
      if (typeof value === "number") return Buffer.concat([varint(field << 3), varint(value)]);
      const bytes = typeof value === "string" ? Buffer.from(value) : protobuf(value);
      return Buffer.concat([varint((field << 3) | 2), varint(bytes.byteLength), bytes]);
    }),
  );
}

/** The offer of a host for service index 0, as a frame of the first exchange. */
export function offer(hello: Fields): Buffer {
  return wire1Frame(
    0x00ff,
    protobuf([
      [1, 1],
      [2, "magic"],
      [10, hello],
    ]),
  );
}

/** What a host says that wants `service` on stdin and stdout. */
export function helloOf(service: string, transport: Fields = [[1, "stdio"]]): Fields {
  return [
    [1, 1],
    [2, 2],
    [
      3,
      [
        [1, service],
        [2, 1],
      ],
    ],
    [5, transport],
    [6, "a test"],
  ];
}

export function wire1Frame(id: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(id >> 8, id & 0xff), varint(payload.byteLength), payload]);
}

/** A frame of wire 2. */
export function wire2Frame(
  kind: number,
  flags: number,
  methodId: number,
  requestId: number,
  payload: Uint8Array = new Uint8Array(0),
): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(payload.byteLength, 0);
  header.writeUInt8(kind, 4);
  header.writeUInt8(flags, 5);
  header.writeUInt16LE(methodId, 6);
  header.writeUInt32LE(requestId, 8);
  return Buffer.concat([header, payload]);
}

/** The frame of the first exchange that leads `bytes`, and what comes behind it; once it is whole. */
export function wire1FrameIn(
  bytes: Buffer,
): { readonly id: number; readonly payload: Buffer; readonly rest: Buffer } | undefined {
  let length = 0;
  let at = 2;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (bytes.byteLength < at + length) return undefined;
  return {
    id: bytes.readUInt16BE(0),
    payload: bytes.subarray(at, at + length),
    rest: bytes.subarray(at + length),
  };
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return Buffer.from(bytes);
}
