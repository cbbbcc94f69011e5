import { describe, expect, test } from "bun:test";

import { PlugError } from "bun-plug";
import type { CallOptions } from "../../src/rpc/call-options.ts";
import { bindService, type CallTarget } from "../../src/rpc/bound-service.ts";
import { message } from "../../src/rpc/messages.ts";
import { scripted } from "../support/connections.ts";
import { response } from "../support/frames.ts";
import { rejection, thrown } from "../support/rejection.ts";
import { textCodec, textService } from "../support/text-service.ts";

const service = textService("test.Echo", "Say", "Shout");
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function bind(methodIds: Record<string, number>, target?: Partial<CallTarget>) {
  const peer = scripted();
  const caller = bindService(service, new Map(Object.entries(methodIds)), {
    connection: () => peer.connection,
    close: () => Promise.resolve(),
    ...target,
  });
  return {
    peer,
    caller,
    call: (nth: number, text: unknown, options?: CallOptions): Promise<string> =>
      caller.unary(service.methods[nth] as never, text as never, options),
  };
}

describe("a bound service", () => {
  test("calls a method by the id that the peer gave it, and unpacks the answer", async () => {
    const { peer, call } = bind({ Say: 7, Shout: 3 });
    const results = [call(0, "hello"), call(1, "hey")];

    const sent = await peer.sent();
    peer.deliver(response(1, utf8("a")), response(2, utf8("b")));

    expect(sent.map(({ methodId, payload }) => [methodId, payload])).toEqual([
      [7, utf8("hello")],
      [3, utf8("hey")],
    ]);
    expect(await Promise.all(results)).toEqual(["got a", "got b"]);
  });

  test("fails with unimplemented for a method that the peer lacks, and only that call", async () => {
    const { peer, call } = bind({ Say: 0 });
    const [missing, there] = [call(1, "hey"), call(0, "hello")];

    peer.deliver(response(1, utf8("a")));

    expect((await rejection(missing)).message).toBe(
      "[unimplemented] the plugin does not have test.Echo.Shout",
    );
    expect(await there).toBe("got a");
  });

  test("rejects, and does not throw, what is no request: invalid_argument", async () => {
    const { peer, call } = bind({ Say: 0 });

    const error = await rejection(call(0, 42));

    expect(error.message).toBe(
      "[invalid_argument] cannot make a test.Text: expected a text, got number",
    );
    expect(await peer.sent()).toEqual([]);
  });

  test("rejects with invalid_argument what cannot be encoded", async () => {
    const { call } = bind({ Say: 0 });

    expect((await rejection(call(0, "unencodable"))).code).toBe("invalid_argument");
  });

  test("rejects with data_loss an answer that cannot be read", async () => {
    const { peer, call } = bind({ Say: 0 });
    const result = call(0, "hello");

    peer.deliver(response(1, utf8("unreadable")));

    expect((await rejection(result)).code).toBe("data_loss");
  });

  test("rejects, and does not throw, when there is no connection any more", async () => {
    const gone = new PlugError("draining", "closing");
    const { call } = bind(
      { Say: 0 },
      {
        connection() {
          throw gone;
        },
      },
    );

    expect(await rejection(call(0, "hello"))).toBe(gone);
  });

  test("names the service and the method in error texts", async () => {
    const { call } = bind({ Say: 0 });

    const error = await rejection(call(0, "hello", { timeoutMs: 0 }));

    expect(error.message).toContain("test.Echo.Say had no time left");
  });

  test("closes what it belongs to", async () => {
    let closeCount = 0;
    const { caller } = bind(
      {},
      {
        close: async () => void (closeCount += 1),
      },
    );

    await caller.close();

    expect(closeCount).toBe(1);
  });
});

describe("message", () => {
  test("passes a PlugError of the codec on as it is", () => {
    const error = new PlugError("out_of_range", "x");
    const codec = {
      ...textCodec,
      from() {
        throw error;
      },
    };

    expect(thrown(() => message(codec, "hello"))).toBe(error);
  });
});
