// A service and its methods, as the handshake and service frames have it.
//
//   message Service {
//     string name = 1;
//     repeated uint32 versions = 2;
//     repeated string methods = 3;
//     uint32 first_method_id = 4;
//   }

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export interface ServicePayload {
  /** The full name. */
  readonly name: string;
  /** Those that the sender can work with; of methods that are told, the one. */
  readonly versions: readonly number[];
  /** Names. Their ids count up from `firstMethodId`. */
  readonly methods: readonly string[];
  readonly firstMethodId: number;
}

export function encodeService(service: ServicePayload): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(service.name);
  for (const version of service.versions) writer.tag(2, WireType.Varint).uint32(version);
  for (const method of service.methods) writer.tag(3, WireType.LengthDelimited).string(method);
  if (service.firstMethodId > 0) writer.tag(4, WireType.Varint).uint32(service.firstMethodId);
  return writer.finish();
}

/** Fields that are not known are skipped. @throws {Error} The bytes are not protobuf. */
export function decodeService(bytes: Uint8Array): ServicePayload {
  const service = { name: "", versions: [] as number[], methods: [] as string[], firstMethodId: 0 };
  eachField(bytes, (field, wireType, reader) => {
    if (field === 1 && wireType === WireType.LengthDelimited) service.name = reader.string();
    else if (field === 2 && wireType === WireType.Varint) service.versions.push(reader.uint32());
    else if (field === 3 && wireType === WireType.LengthDelimited) {
      service.methods.push(reader.string());
    } else if (field === 4 && wireType === WireType.Varint) service.firstMethodId = reader.uint32();
    else return false;
    return true;
  });
  return service;
}

// More than any peer has to say: method ids have 16 bits. A message of many empty fields would
// make objects of far more memory than it has bytes.
const maxFieldCount = 70_000;

/**
 * Goes through a message. `read` says whether it took the field's value; one that it did not take
 * is skipped.
 *
 * @throws {Error} The bytes are not protobuf, or there are more fields than anybody needs.
 */
export function eachField(
  bytes: Uint8Array,
  read: (field: number, wireType: WireType, reader: BinaryReader) => boolean,
): void {
  const reader = new BinaryReader(bytes);
  for (let count = 1; reader.pos < reader.len; count++) {
    if (count > maxFieldCount) throw new Error(`more than ${maxFieldCount} fields`);
    const [field, wireType] = reader.tag();
    if (!read(field, wireType, reader)) reader.skip(wireType, field);
  }
}
