import { expect, expectTypeOf, test } from "bun:test";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Empty, EmptySchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";

import { KV, Serializer } from "../../example/gen/example_plug.ts";
import { Retired } from "./gen/comments_plug.ts";
import { type RequestSchema, type Response, ResponseSchema } from "./gen/styles_pb.ts";
import { AsAsked, ByMessages, NoRpcs, Unwrapped } from "./gen/styles_plug.ts";
import { connect } from "./support/connect.ts";
import { generate } from "./support/generate.ts";

test("calls = MESSAGES takes a message and gives a message, both as init shapes", async () => {
  const client = connect(ByMessages, {
    get: ({ key, limit }) => ({ value: `${key} ${limit}` }),
    clear: () => ({}),
    touch: async (request) => request,
  });

  expect(await client.get({ key: "k" })).toEqual(create(ResponseSchema, { value: "k undefined" }));
  expect(await client.clear({})).toEqual(create(EmptySchema));
  expect(await client.touch({ seconds: 1n }, { timeoutMs: 1 })).toEqual(
    create(TimestampSchema, { seconds: 1n }),
  );

  type Given = Parameters<typeof client.get>[0];
  expectTypeOf<Given>().toEqualTypeOf<MessageInitShape<typeof RequestSchema>>();
  expectTypeOf(client.get).returns.resolves.toEqualTypeOf<Response>();
  expectTypeOf(client.clear).returns.resolves.toEqualTypeOf<Empty>();
  expectTypeOf(client.touch).returns.resolves.toEqualTypeOf<Timestamp>();
});

test("calls = UNWRAPPED and CALLS_UNSPECIFIED unwrap when nothing else is asked for", async () => {
  const get = (key: string, limit: number | undefined) => `${key} ${limit}`;

  expect(await connect(Unwrapped, { get }).get("k", 1)).toBe("k 1");
  expect(await connect(AsAsked, { get }).get("k", undefined)).toBe("k undefined");
});

test("a service's own choice wins over the generator's option", async () => {
  const proto = await Bun.file(`${import.meta.dir}/proto/styles.proto`).text();

  const { files } = await generate({ "styles.proto": proto }, "calls=messages");

  const text = files["styles_plug.ts"] ?? "";
  expect(interfaceOf(text, "ByMessages")).toContain("get(request: MessageInitShape<");
  expect(interfaceOf(text, "Unwrapped")).toContain("get(key: string, limit: number | undefined,");
  expect(interfaceOf(text, "AsAsked")).toContain("get(request: MessageInitShape<");
});

test("the table holds name, position, magic and version of a service", () => {
  expect(KV).toMatchObject({ typeName: "example.KV", index: 0, magic: "magic", version: 1 });
  expect(Serializer).toMatchObject({
    typeName: "example.Serializer",
    index: 1,
    magic: "s3rializer",
    version: 2,
  });
  expect(ByMessages).toMatchObject({
    magic: 'quote " backslash \\ newline \n snowman ☃',
    version: 4294967295,
  });
  // Empty and 0 are what the Go original takes for left out.
  expect(AsAsked).toMatchObject({ magic: "magic", version: 1, index: 2 });
  expect(Retired.index).toBe(1);
});

test("methods are in the order of the .proto file", () => {
  expect(KV.methods.map(({ name, localName }) => [name, localName])).toEqual([
    ["Get", "get"],
    ["Put", "put"],
  ]);
  expect(ByMessages.methods.map(({ name }) => name)).toEqual(["Get", "Clear", "Touch"]);
});

test("a service without rpcs has an empty client, which can be disposed", async () => {
  await using client = connect(NoRpcs, {});

  expect(Object.getOwnPropertyNames(Object.getPrototypeOf(client))).toEqual(["constructor"]);
});

test("options of the same numbers that are not plug.proto's are not ours", async () => {
  const { files } = await generate({
    "other.proto": `
      syntax = "proto2";
      import "google/protobuf/descriptor.proto";
      extend google.protobuf.ServiceOptions {
        optional string owner = 50001;
        optional bool audited = 50003;
      }`,
    "kv.proto": `
      syntax = "proto3";
      import "other.proto";
      message Text { string text = 1; }
      service KV {
        option (owner) = "somebody";
        option (audited) = true;
        rpc Get(Text) returns (Text);
      }`,
  });

  expect(files["kv_plug.ts"]).toContain('magic: "magic"');
  expect(interfaceOf(files["kv_plug.ts"] ?? "", "KV")).toContain("get(text: string,");
});

function interfaceOf(text: string, name: string): string {
  return text.match(new RegExp(`^export interface ${name} \\{$[^]*?^\\}$`, "m"))?.[0] ?? "";
}
