import { expect, test } from "bun:test";

import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";

import type { PageSchema } from "./gen/proto2_pb.ts";
import { generate } from "./support/generate.ts";

async function warningsFor(field: string, more = "", parameter = ""): Promise<readonly string[]> {
  const { warnings, error } = await generate(
    {
      "kv.proto": `syntax = "proto3";
        import "google/protobuf/struct.proto";
        import "google/protobuf/wrappers.proto";
        package example;
        enum Colour { RED = 0; }
        message Limits { int32 timeout_ms = 1; }
        message WrappedLimits { google.protobuf.Int32Value timeout_ms = 1; }
        message Abort { bool aborted = 1; }
        message Signal { Abort signal = 1; }
        message Other { int32 timeout = 1; string timeout_ms = 2; string signal = 3; }
        message Text { string text = 1; ${field} ${more} }
        service KV {
          rpc Get(Text) returns (Text);
        }`,
    },
    parameter,
  );
  expect(error).toBe("");
  return warnings;
}

function warning(what: string): string {
  return (
    `kv.proto:13: rpc example.KV.Get: warning: the last argument, last, is ${what}: calls that ` +
    "were written before the field was added still compile and send their options in it. " +
    "calls=messages avoids this"
  );
}

test("a last argument that options could be mistaken for is warned of, with file, line and rpc", async () => {
  const cases = {
    "map<string, int32> last = 2;": "a map of numbers",
    "map<int64, double> last = 2;": "a map of numbers",
    "map<string, Colour> last = 2;": "a map of numbers",
    "map<int32, string> last = 2;": "a map with numbers as keys",
    "google.protobuf.Struct last = 2;": "a Struct",
    "Limits last = 2;": "a message with a field timeout_ms",
    "WrappedLimits last = 2;": "a message with a field timeout_ms",
    "Signal last = 2;": "a message with a field signal",
  };

  const found = await Promise.all(Object.keys(cases).map((field) => warningsFor(field)));

  expect(found).toEqual(Object.values(cases).map((what) => [warning(what)]));
});

test("a last argument that TypeScript refuses options for is not warned of", async () => {
  const fields = [
    "map<string, string> last = 2;",
    "map<string, int64> last = 2;",
    "map<string, Limits> last = 2;",
    "map<string, google.protobuf.Struct> last = 2;",
    "repeated google.protobuf.Struct last = 2;",
    "repeated int32 last = 2;",
    "optional int32 last = 2;",
    "google.protobuf.Int32Value last = 2;",
    "google.protobuf.Value last = 2;",
    "Other last = 2;",
    "oneof choice { google.protobuf.Struct last = 2; }",
  ];

  const found = await Promise.all(fields.map((field) => warningsFor(field)));

  expect(found.flat()).toEqual([]);
});

test("an argument behind it, or calls=messages, takes the warning away", async () => {
  const field = "google.protobuf.Struct last = 2;";

  const found = await Promise.all([
    warningsFor(field, "string more = 3;"),
    warningsFor(field, "", "calls=messages"),
  ]);

  expect(found.flat()).toEqual([]);
});

// What the rule above rests on. The compiler checks it with the rest of this file. Enums count as
// numbers, because protoc-gen-es prints TypeScript's own unless it is told otherwise, and they take
// any number; this repository has erasable syntax only, so that one cannot be shown here.
test("TypeScript takes options for what is warned of, and refuses them for the rest", () => {
  const variable = { timeoutMs: 500, signal: AbortSignal.abort() };
  const take = <T>(_: T): void => {};

  take<{ [key: string]: number }>({ timeoutMs: 500 });
  take<{ [key: number]: string }>(variable);
  take<JsonObject | undefined>({ timeoutMs: 500 });
  take<MessageInitShape<typeof PageSchema>>({ number: 500 });
  take<{ timeoutMs?: number }>(variable);
  take<{ signal?: { aborted?: boolean } }>(variable);

  // @ts-expect-error: signal is no number
  take<{ [key: string]: number }>(variable);
  // @ts-expect-error: signal is no JSON
  take<JsonObject | undefined>(variable);
  // @ts-expect-error
  take<{ [key: string]: string }>({ timeoutMs: 500 });
  // @ts-expect-error
  take<{ [key: string]: bigint }>({ timeoutMs: 500 });
  // @ts-expect-error
  take<{ [key: string]: MessageInitShape<typeof PageSchema> }>({ timeoutMs: 500 });
  // @ts-expect-error: none of its names
  take<MessageInitShape<typeof PageSchema>>({ timeoutMs: 500 });
  // @ts-expect-error: none of its names
  take<MessageInitShape<typeof PageSchema>>(variable);

  expect(take).toBeFunction();
});

test("an rpc that takes a stream is never warned of, since it has one argument", async () => {
  const { warnings, error } = await generate({
    "kv.proto": `syntax = "proto3";
      message Query { map<string, int32> limits = 1; }
      service KV {
        rpc Fill(stream Query) returns (Query);
        rpc Chat(stream Query) returns (stream Query);
        rpc Watch(Query) returns (stream Query);
      }`,
  });

  expect(error).toBe("");
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toStartWith("kv.proto:6: rpc KV.Watch: warning: ");
});
