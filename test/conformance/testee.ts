// What the conformance runner tests: bytes or JSON in, bytes or JSON out, by the printed codecs.
//
// The runner starts it and talks to it on stdin and stdout: a length of four bytes, then a
// ConformanceRequest; the answer likewise. JSON is protobuf-es's part: its tests are taken where
// the other side is binary, and skipped where both are JSON.

import { readSync, writeSync } from "node:fs";

import {
  create,
  createRegistry,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import type { MessageCodec } from "bun-plug/codec";

import { working } from "./forbid-binary.ts";
import {
  decodeConformanceRequest,
  encodeConformanceResponse,
  encodeFailureSet,
} from "./gen/conformance/conformance_codec.ts";
import {
  type ConformanceRequest,
  type ConformanceResponse,
  ConformanceResponseSchema,
  FailureSetSchema,
  TestCategory,
  WireFormat,
} from "./gen/conformance/conformance_pb.ts";
import { codecs, files } from "./messages.ts";

type Result = ConformanceResponse["result"];

const registry = createRegistry(...files);

function answer(request: ConformanceRequest): Result {
  if (request.messageType === "conformance.FailureSet") {
    return { case: "protobufPayload", value: encodeFailureSet(create(FailureSetSchema)) };
  }
  const codec = codecs.get(request.messageType);
  const schema = registry.getMessage(request.messageType);
  if (codec === undefined || schema === undefined) {
    return { case: "runtimeError", value: `there is no ${request.messageType}` };
  }
  const { requestedOutputFormat: output, payload } = request;
  const formats = [payload.case, output];
  if (!formats.includes("protobufPayload") && output !== WireFormat.PROTOBUF) {
    return { case: "skipped", value: "neither side is binary" };
  }

  let message: Message;
  try {
    const input = inputOf(request, codec, schema);
    if (input === undefined) return { case: "skipped", value: `input is ${payload.case}` };
    message = input;
  } catch (error) {
    return { case: "parseError", value: String(error) };
  }
  try {
    return outputOf(message, output, codec, schema);
  } catch (error) {
    return { case: "serializeError", value: String(error) };
  }
}

function inputOf(
  { payload, testCategory }: ConformanceRequest,
  codec: MessageCodec<Message, never>,
  schema: DescMessage,
): Message | undefined {
  switch (payload.case) {
    case "protobufPayload":
      return withoutProtobufEs(() => codec.read(payload.value, 0, payload.value.length, true));
    case "jsonPayload": {
      const ignoreUnknownFields = testCategory === TestCategory.JSON_IGNORE_UNKNOWN_PARSING_TEST;
      const json = JSON.parse(payload.value) as JsonValue;
      return fromJson(schema, json, { ignoreUnknownFields, registry });
    }
    default:
      return undefined;
  }
}

function outputOf(
  message: Message,
  format: WireFormat,
  codec: MessageCodec<Message, never>,
  schema: DescMessage,
): Result {
  switch (format) {
    case WireFormat.PROTOBUF: {
      const bytes = withoutProtobufEs(() => {
        // In the middle of a buffer, so that offsets matter.
        const size = codec.size(message);
        const buffer = new Uint8Array(size + 16).fill(0xff);
        const end = codec.write(message, buffer, 7);
        if (end !== size + 7) throw new Error(`${end - 7} bytes instead of ${size}`);
        if (buffer[6] !== 0xff || buffer[end] !== 0xff) throw new Error("wrote beside its place");
        return buffer.slice(7, end);
      });
      return { case: "protobufPayload", value: bytes };
    }
    case WireFormat.JSON:
      return { case: "jsonPayload", value: JSON.stringify(toJson(schema, message, { registry })) };
    default:
      return { case: "skipped", value: `output is ${WireFormat[format as never] ?? format}` };
  }
}

/** Runs a codec; whatever it does, toBinary and fromBinary must have no part in it. */
function withoutProtobufEs<T>(run: () => T): T {
  working.codec = true;
  try {
    return run();
  } finally {
    working.codec = false;
  }
}

/** Undefined at the end of input. */
function readExactly(byteCount: number): Uint8Array | undefined {
  const bytes = new Uint8Array(byteCount);
  for (let at = 0; at < byteCount;) {
    const count = readSync(0, bytes, at, byteCount - at, null);
    if (count === 0) return undefined;
    at += count;
  }
  return bytes;
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
}

const length = new Uint8Array(4);
const lengthView = new DataView(length.buffer);
for (;;) {
  const head = readExactly(4);
  if (head === undefined) break;
  const request = readExactly(new DataView(head.buffer).getUint32(0, true));
  if (request === undefined) throw new Error("the input ends within a request");
  const result = answer(decodeConformanceRequest(request));
  const response = encodeConformanceResponse(create(ConformanceResponseSchema, { result }));
  lengthView.setUint32(0, response.length, true);
  writeAll(length);
  writeAll(response);
}
