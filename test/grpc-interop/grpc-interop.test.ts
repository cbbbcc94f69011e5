// gRPC's own interop test cases, under the names that they have there.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

import { type CallOptions, errorCodes, loadPlugin, type Metadata, pluginOf } from "bun-plug";

import { rejection } from "../support/rejection.ts";
import { within } from "../support/within.ts";
import { askHostHeader, handler, initialHeader, trailingHeader } from "./fixture/handler.ts";
import { loadTestService, TestService, testTestService } from "./gen/grpc_interop_plug.ts";
import {
  loadTestService as loadNewerTestService,
  loadUnimplementedService,
  TestService as NewerTestService,
  UnimplementedService,
} from "./newer/gen/grpc_interop_newer_plug.ts";

const plugin = join(import.meta.dir, "fixture/plugin.ts");
// So that the plugin can look for more than there is.
const offer = [[TestService, handler]] as const;

const transports = ["memory", "ring", "socket", "stdio"] as const;

function open(transport: (typeof transports)[number]): Promise<TestService & AsyncDisposable> {
  if (transport === "memory") return testTestService(handler, { load: { offer } });
  return loadTestService(plugin, { transport, offer });
}

function zeros(byteCount: number): { readonly body: Uint8Array } {
  return { body: new Uint8Array(byteCount) };
}

interface WithPayload {
  readonly payload?: { readonly body: Uint8Array } | undefined;
}

/** The size of a payload, all of whose bytes must be 0. */
function zerosIn({ payload }: WithPayload): number {
  expect(payload?.body.every((byte) => byte === 0)).toBe(true);
  return payload?.body.byteLength ?? 0;
}

/** A stream of requests that the test feeds by and by. */
class Outbox<T> {
  readonly #controller = Promise.withResolvers<ReadableStreamDefaultController<T>>();
  readonly messages = new ReadableStream<T>({ start: this.#controller.resolve });

  async send(message: T): Promise<void> {
    (await this.#controller.promise).enqueue(message);
  }

  async end(): Promise<void> {
    (await this.#controller.promise).close();
  }
}

describe.each(transports)("over %s,", (transport) => {
  let client: TestService & AsyncDisposable;

  beforeAll(async () => {
    client = await open(transport);
  });

  afterAll(() => client[Symbol.asyncDispose]());

  /** A case, after which nothing is in flight and the plugin goes on. */
  function interop(name: string, body: () => Promise<void>): void {
    test(name, async () => {
      await within(5_000, body());
      await client.emptyCall({});
      expect(pluginOf(client).stats().inFlightCount).toBe(0);
    });
  }

  interop("empty_unary", async () => {
    expect(await client.emptyCall({})).toEqual({ $typeName: "google.protobuf.Empty" });
  });

  interop("large_unary", async () => {
    const response = await client.unaryCall({ responseSize: 314_159, payload: zeros(271_828) });

    expect(zerosIn(response)).toBe(314_159);
  });

  interop("client_streaming", async () => {
    const requests = [27_182, 8, 1_828, 45_904].map((size) => ({ payload: zeros(size) }));

    const { aggregatedPayloadSize } = await client.streamingInputCall(requests);

    expect(aggregatedPayloadSize).toBe(74_922);
  });

  interop("server_streaming", async () => {
    const sizes = [31_415, 9, 2_653, 58_979];
    const responseParameters = sizes.map((size) => ({ size }));

    const responses = await Array.fromAsync(client.streamingOutputCall({ responseParameters }));

    expect(responses.map(zerosIn)).toEqual(sizes);
  });

  interop("ping_pong", async () => {
    const requests = new Outbox<ReturnType<typeof ping>>();
    const responses = client.fullDuplexCall(requests.messages)[Symbol.asyncIterator]();
    const sizes: number[] = [];
    for (const [responseBytes, requestBytes] of pings) {
      await requests.send(ping(responseBytes, requestBytes));
      const { done, value } = await responses.next();
      expect(done).toBe(false);
      sizes.push(zerosIn(value));
    }
    await requests.end();

    expect(await responses.next()).toEqual({ done: true, value: undefined });
    expect(sizes).toEqual([31_415, 9, 2_653, 58_979]);
  });

  interop("empty_stream", async () => {
    expect(await Array.fromAsync(client.fullDuplexCall([]))).toEqual([]);
  });

  interop("cancel_after_begin", async () => {
    const controller = new AbortController();
    const requests = new Outbox<never>();
    const call = client.streamingInputCall(requests.messages, { signal: controller.signal });

    controller.abort();

    expect((await rejection(call)).code).toBe("cancelled");
  });

  interop("cancel_after_first_response", async () => {
    const controller = new AbortController();
    const requests = new Outbox<ReturnType<typeof ping>>();
    const { signal } = controller;
    const responses = client.fullDuplexCall(requests.messages, { signal })[Symbol.asyncIterator]();
    await requests.send(ping(31_415, 27_182));
    const { value } = await responses.next();

    controller.abort();

    expect(zerosIn(value)).toBe(31_415);
    expect((await rejection(responses.next())).code).toBe("cancelled");
  });

  interop("timeout_on_sleeping_server", async () => {
    const requests = new Outbox<{ readonly payload: ReturnType<typeof zeros> }>();
    await requests.send({ payload: zeros(27_182) });

    const responses = Array.fromAsync(client.fullDuplexCall(requests.messages, { timeoutMs: 1 }));

    expect((await rejection(responses)).code).toBe("deadline_exceeded");
  });

  /** The handler ends a call of either kind with this status of gRPC. */
  async function expectStatus(code: number, message: string): Promise<void> {
    const responseStatus = { code, message };
    const errors = [
      await rejection(client.unaryCall({ responseStatus })),
      await rejection(Array.fromAsync(client.fullDuplexCall([{ responseStatus }]))),
    ];

    for (const error of errors) {
      expect<number>(errorCodes[error.code].grpc).toBe(code);
      expect([error.rawMessage, error.origin]).toEqual([message, "peer"]);
    }
  }

  interop("status_code_and_message", () => expectStatus(2, "test status message"));

  interop("special_status_message", () =>
    expectStatus(2, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"),
  );

  interop("custom_metadata", async () => {
    const trailing = new Uint8Array([0xab, 0xab, 0xab]);
    const told: Metadata[] = [];
    const options: CallOptions = {
      headers: { [initialHeader]: "test_initial_metadata_value", [trailingHeader]: trailing },
      onHeader: (headers) => void told.push(headers),
      onTrailer: (trailers) => void told.push(trailers),
    };
    const unary = { responseSize: 314_159, payload: zeros(271_828) };

    const response = await client.unaryCall(unary, options);
    const responses = client.fullDuplexCall([ping(314_159, 271_828)], options);

    expect(zerosIn(response)).toBe(314_159);
    expect((await Array.fromAsync(responses)).map(zerosIn)).toEqual([314_159]);
    const initialThenTrailing = [
      { [initialHeader]: "test_initial_metadata_value" },
      { [trailingHeader]: trailing },
    ];
    expect(told.map((metadata) => metadata.toJSON())).toEqual([
      ...initialThenTrailing,
      ...initialThenTrailing,
    ]);
  });

  // The caller's .proto is newer. In memory, host and plugin are given one table between them, so
  // there it is only the plugin that can know of more than the host.
  describe("unimplemented_method", () => {
    test.skipIf(transport === "memory")("of the plugin", async () => {
      await using newer = await loadNewerTestService(plugin, {
        transport: transport as "ring" | "socket" | "stdio",
      });

      const error = await rejection(newer.unimplementedCall({}));

      expect(error.code).toBe("unimplemented");
      expect(error.message).toContain("grpcinterop.TestService.UnimplementedCall");
      // Of the same service, and at another place than the plugin has it.
      expect(await newer.emptyCall({})).toEqual({ $typeName: "google.protobuf.Empty" });
    });

    interop("of the host", async () => {
      const error = await rejection(
        client.emptyCall({}, { headers: { [askHostHeader]: "method" } }),
      );

      expect([error.code, error.origin]).toEqual(["unimplemented", "peer"]);
      expect(error.message).toContain("grpcinterop.TestService.UnimplementedCall");
    });
  });

  describe("unimplemented_service", () => {
    // gRPC finds out by the first call. Here services are agreed on before there is any.
    test.skipIf(transport === "memory")("of the plugin", async () => {
      const options = {
        transport: transport as "ring" | "socket" | "stdio",
        logger: false as const,
      };
      const errors = [
        await rejection(loadUnimplementedService(plugin, options)),
        await rejection(
          loadPlugin(plugin, { test: NewerTestService, none: UnimplementedService }, options),
        ),
      ];

      expect(errors.map(({ code }) => code)).toEqual(["handshake_mismatch", "handshake_mismatch"]);
      for (const { message } of errors)
        expect(message).toContain("grpcinterop.UnimplementedService");
    });

    interop("of the host", async () => {
      const error = await rejection(
        client.emptyCall({}, { headers: { [askHostHeader]: "service" } }),
      );

      expect([error.code, error.origin]).toEqual(["unimplemented", "peer"]);
      expect(error.message).toContain("grpcinterop.UnimplementedService");
    });
  });
});

// Bytes of each response, and of the request for it.
const pings = [
  [31_415, 27_182],
  [9, 8],
  [2_653, 1_828],
  [58_979, 45_904],
] as const;

function ping(responseBytes: number, requestBytes: number) {
  return { responseParameters: [{ size: responseBytes }], payload: zeros(requestBytes) };
}
