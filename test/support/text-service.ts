// A service whose messages are texts, written by hand: no protobuf, no generator.

import { PlugError } from "bun-plug";
import { IncomingCall } from "../../src/call/incoming-call.ts";
import type { PayloadWriter } from "../../src/stream/payload.ts";
import type { MessageCodec } from "../../src/codec/message-codec.ts";
import type { Caller, Service, UnaryMethod } from "../../src/rpc/service.ts";

/** Texts; `from` refuses what is none, `size` refuses "unencodable", `read` refuses "unreadable". */
export const textCodec: MessageCodec<string> = {
  typeName: "test.Text",
  from(init) {
    if (typeof init !== "string") throw new TypeError(`expected a text, got ${typeof init}`);
    return init;
  },
  size(text) {
    if (text === "unencodable") throw new PlugError("invalid_argument", "cannot encode test.Text");
    return Buffer.byteLength(text);
  },
  write: (text, buffer, at) => at + new TextEncoder().encodeInto(text, buffer.subarray(at)).written,
  read(buffer, from, to) {
    const text = new TextDecoder().decode(buffer.subarray(from, to));
    if (text === "unreadable") throw new PlugError("data_loss", "not a test.Text");
    return text;
  },
};

export type TextHandler = Record<string, (text: string, context: unknown) => unknown>;

type TextMethod = UnaryMethod<TextHandler, never, never, unknown, string>;

function method(name: string): TextMethod {
  const localName = name.toLowerCase();
  return {
    kind: "unary",
    name,
    localName,
    input: textCodec as never,
    output: textCodec as never,
    handle: (handler, request, context) => handler[localName]?.(request as never, context),
    pack: (result) => result as never,
    unpack: (response) => `got ${response as string}`,
  };
}

export class TextClient {
  readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.caller.close();
  }
}

export function textService(
  typeName: string,
  ...names: readonly string[]
): Service<object, TextHandler> & { readonly methods: readonly TextMethod[] } {
  return {
    typeName,
    index: 0,
    magic: "magic",
    version: 1,
    methods: names.map(method),
    client: TextClient,
  };
}

/** A call whose answer the test sees at once. */
export class RecordedCall {
  readonly answers: unknown[] = [];
  isDeferred = false;
  readonly call: IncomingCall;
  readonly request: Uint8Array;

  constructor(methodId: number, text: string) {
    this.call = new IncomingCall(
      {
        respond: <T>(call: IncomingCall, _writer: PayloadWriter<T>, value: T) => {
          if (call.isAnswered) return;
          call.isAnswered = true;
          this.answers.push(value);
        },
        fail: (call, error) => {
          if (call.isAnswered) return;
          call.isAnswered = true;
          this.answers.push(error);
        },
        defer: () => {
          this.isDeferred = true;
        },
        messages: () => {
          throw new Error("no method here streams");
        },
      },
      1,
      methodId,
      0,
    );
    this.request = new TextEncoder().encode(text);
  }

  /** As the connection does it when the caller gives up. */
  cancel(): void {
    const reason = new PlugError("cancelled", "the caller gave the call up");
    this.call.fail(reason);
    this.call.abort(reason);
  }
}
