// Puts a codec together from the functions that protoc-gen-plug prints for a message.

import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";

import type { MessageCodec } from "./message-codec.ts";
import { notEncodable } from "./not-encodable.ts";
import { type Reader, reader } from "./reader.ts";
import { beginSize, beginWrite } from "./sizes.ts";

type Size<T> = (message: T) => number;
type Write<T> = (message: T, buffer: Uint8Array, at: number) => number;
type Read<T> = (r: Reader, end: number) => T;

/** A codec of a message with fields that have a length before them. */
export function codecOf<Desc extends DescMessage>(
  schema: Desc,
  size: Size<MessageShape<Desc>>,
  write: Write<MessageShape<Desc>>,
  read: Read<MessageShape<Desc>>,
): MessageCodec<MessageShape<Desc>, MessageInitShape<Desc>> {
  return {
    ...flatCodecOf(schema, (message) => size(beginSize(message)), write, read),

    write(message, buffer, at) {
      if (!beginWrite(message)) {
        size(beginSize(message));
        beginWrite(message);
      }
      return write(message, buffer, at);
    },
  };
}

/** A codec of a message that has nothing with a length but strings and bytes. */
export function flatCodecOf<Desc extends DescMessage>(
  schema: Desc,
  size: Size<MessageShape<Desc>>,
  write: Write<MessageShape<Desc>>,
  read: Read<MessageShape<Desc>>,
): MessageCodec<MessageShape<Desc>, MessageInitShape<Desc>> {
  const { typeName } = schema;
  return {
    typeName,

    from(init) {
      return create(schema, init);
    },

    size(message) {
      try {
        return size(message);
      } catch (error) {
        throw notEncodable(schema, message, error);
      }
    },

    write,

    read(buffer, from, to, owned) {
      return reader.end(read(reader.start(typeName, buffer, from, to, owned), to));
    },
  };
}

/** A message's bytes, in memory of their own. */
export function encode<T>(codec: MessageCodec<T, never>, message: T): Uint8Array {
  const bytes = new Uint8Array(codec.size(message));
  codec.write(message, bytes, 0);
  return bytes;
}

/** The message of these bytes, which may be used again afterwards. */
export function decode<T>(codec: MessageCodec<T, never>, bytes: Uint8Array): T {
  return codec.read(bytes, 0, bytes.length, false);
}
