// Asks the plugin for the question and the answer, as JSON.
//
//   bun example/serializer/host.ts
//
// Prints:
//
//   {"answer":{"value":42},"question":{"value":"what is the meaning of life?"}}
//
// Any program that serves Serializer will do, compiled from plugin.ts or written in Go: give its
// path.

import { create } from "@bufbuild/protobuf";
import { anyPack, StringValueSchema, UInt32ValueSchema } from "@bufbuild/protobuf/wkt";
import { loadSerializer } from "../gen/example_plug.ts";

const [path = import.meta.resolve("./plugin.ts")] = process.argv.slice(2);

await using serializer = await loadSerializer(path);

const json = await serializer.marshal({
  question: anyPack(
    StringValueSchema,
    create(StringValueSchema, { value: "what is the meaning of life?" }),
  ),
  answer: anyPack(UInt32ValueSchema, create(UInt32ValueSchema, { value: 42 })),
});
console.log(new TextDecoder().decode(json));
