// The Go original's protocol has no place for metadata.

import { expect, test } from "bun:test";

import { loadKV } from "../../example/gen/example_plug.ts";
import { describeGo, goBinary } from "../support/go-peer.ts";
import { bytes, text } from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";
import { plain } from "./support/desk.ts";

describeGo("a plugin built with the Go original", () => {
  test("is sent no headers, and callers are told of no headers and no trailers", async () => {
    await using kv = await loadKV(await goBinary("example/kv"));
    const events: unknown[] = [];
    const options = {
      headers: { a: "1", "b-bin": bytes("2") },
      onHeader: (metadata: Parameters<typeof plain>[0]) => void events.push(plain(metadata)),
      onTrailer: (metadata: Parameters<typeof plain>[0]) => void events.push(plain(metadata)),
    };

    await kv.put("k", bytes("value"), options);

    expect(text(await kv.get("k", options))).toBe("value");
    expect(events).toEqual([[], [], [], []]);
    await rejection(kv.get("missing", options));
    expect(events).toEqual([[], [], [], [], [], []]);
  });
});
