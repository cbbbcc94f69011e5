// A codec on the reflection of @bufbuild/protobuf: works for every message, specialised to none.

import type * as Protobuf from "@bufbuild/protobuf";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

import { PlugError } from "../error/plug-error.ts";
import { textOf } from "../error/text-of.ts";
import type { MessageCodec } from "./message-codec.ts";

/** A codec for any message that protobuf-es has a schema of. */
export function genericCodec<Desc extends DescMessage>(
  schema: Desc,
): MessageCodec<MessageShape<Desc>, MessageInitShape<Desc>> {
  // Loaded for the first one: it takes 22 ms where programs are not bundled, and whatever has code
  // of its own does without.
  const { create, fromBinary, toBinary } = require("@bufbuild/protobuf") as typeof Protobuf;
  // toBinary sizes and encodes in one go, so `size` does the work and `write` hands it over.
  let encoded: Uint8Array | undefined;

  return {
    typeName: schema.typeName,

    from(init) {
      return create(schema, init);
    },

    size(message) {
      try {
        encoded = toBinary(schema, message);
      } catch (error) {
        throw new PlugError(
          "invalid_argument",
          `cannot encode ${schema.typeName}: ${textOf(error)}`,
          { cause: error },
        );
      }
      return encoded.byteLength;
    },

    write(_message, buffer, at) {
      if (encoded === undefined) throw new Error("write without size");
      const bytes = encoded;
      encoded = undefined;
      buffer.set(bytes, at);
      return at + bytes.byteLength;
    },

    read(buffer, from, to, owned) {
      // fromBinary makes `bytes` fields and unknown fields views of its input, so the input must
      // be memory that nobody else writes to.
      // `slice` of a Buffer would be no copy.
      const view = new Uint8Array(buffer.buffer, buffer.byteOffset + from, to - from);
      const bytes = owned ? view : view.slice();
      try {
        return fromBinary(schema, bytes);
      } catch (error) {
        throw new PlugError(
          "data_loss",
          `${bytes.byteLength} bytes are not a ${schema.typeName}: ${textOf(error)}`,
          { cause: error },
        );
      }
    },
  };
}
