// A service and its methods, as the handshake and service frames have it.
//
//   message Service {
//     string name = 1;
//     repeated uint32 versions = 2;
//     repeated string methods = 3;
//     uint32 first_method_id = 4;
//   }

import { eachField, FieldWriter, textOfField, WireType } from "../protobuf/fields.ts";

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
  const writer = new FieldWriter().string(1, service.name);
  for (const version of service.versions) writer.uint32(2, version);
  for (const method of service.methods) writer.string(3, method);
  if (service.firstMethodId > 0) writer.uint32(4, service.firstMethodId);
  return writer.finish();
}

/** Fields that are not known are skipped. @throws {Error} The bytes are not protobuf. */
export function decodeService(bytes: Uint8Array): ServicePayload {
  const service = { name: "", versions: [] as number[], methods: [] as string[], firstMethodId: 0 };
  eachField(bytes, (field, wireType, value, bytes) => {
    if (wireType === WireType.LengthDelimited) {
      if (field === 1) service.name = textOfField(bytes);
      else if (field === 3) service.methods.push(textOfField(bytes));
    } else if (wireType === WireType.Varint) {
      if (field === 2) service.versions.push(value);
      else if (field === 4) service.firstMethodId = value;
    }
  });
  return service;
}
