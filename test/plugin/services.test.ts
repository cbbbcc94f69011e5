// What host and plugin agree on in the handshake: services, versions, methods.

import { describe, expect, test } from "bun:test";

import { loadPlugin, pluginOf } from "bun-plug";

import { KV, loadKV, loadSerializer, Serializer } from "../../example/gen/example_plug.ts";
import { bytes, fixture, inEveryVariant, text } from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";

const services = fixture("services");
const table = fixture("table");
const about = fixture("about");

describe("a plugin of several services", () => {
  test("serves all of them over one process", () =>
    inEveryVariant(async (variant, trace) => {
      const wanted = { kv: KV, serializer: Serializer };
      await using plugin = await loadPlugin(services, wanted, variant);
      const [value, data] = await Promise.all([
        plugin.kv.get("a"),
        plugin.serializer.marshal({ one: {}, two: {} }),
        plugin.kv.put("a", bytes("b")),
      ]);
      expect([text(value), text(data)]).toEqual(["value of a", "one,two"]);
      expect(pluginOf(plugin.kv)).toBe(pluginOf(plugin.kv));
      expect(pluginOf(plugin.kv).pid).toBe(pluginOf(plugin.serializer).pid);
      expect(pluginOf(plugin).closed).toBe(pluginOf(plugin.kv).closed);
      expect(trace.started()).toHaveLength(1);
    }));

  test("serves any one of them alone", () =>
    inEveryVariant(async (variant, trace) => {
      await using serializer = await loadSerializer(services, variant);
      expect(text(await serializer.marshal({ one: {} }))).toBe("one");
      await using kv = await loadKV(services, variant);
      expect(text(await kv.get("b"))).toBe("value of b");
      expect(trace.started()).toHaveLength(2);
    }));

  test("may be asked for the same service under two names", () =>
    inEveryVariant(async (variant) => {
      await using plugin = await loadPlugin(services, { left: KV, right: KV }, variant);
      expect(text(await plugin.left.get("a"))).toBe("value of a");
      expect(text(await plugin.right.get("b"))).toBe("value of b");
    }));
});

describe("a service that the plugin does not have", () => {
  test("rejects the load with handshake_mismatch, which names what was asked and what is there", () =>
    inEveryVariant(async (variant, trace) => {
      const error = await rejection(
        loadPlugin(about, { kv: KV, serializer: Serializer }, { ...variant, logger: false }),
      );
      expect(error.code).toBe("handshake_mismatch");
      expect(error.origin).toBe("peer");
      expect(error.message).toContain(
        "the host asked for example.Serializer; the plugin serves example.KV",
      );
      expect(trace.started()).toHaveLength(1);
    }));

  test("is told to the plugin too, which says so on stderr and exits with a code", () =>
    inEveryVariant(async (variant) => {
      const error = await rejection(loadSerializer(about, { ...variant, logger: false }));
      expect(error.code).toBe("handshake_mismatch");
      expect(error.message).toContain("the host asked for example.Serializer");
    }));

  test("is none at all if no service is asked for", async () => {
    const error = await rejection(loadPlugin(about, {}));
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain("there is no service to load");
  });
});

describe("a service of another version", () => {
  test("rejects the load with handshake_mismatch, which names both versions", () =>
    inEveryVariant(async (variant, trace) => {
      const error = await rejection(
        loadPlugin(about, { kv: { ...KV, version: 3 } }, { ...variant, logger: false }),
      );
      expect(error.code).toBe("handshake_mismatch");
      expect(error.message).toContain(
        "the host asked for example.KV version 3; the plugin serves version 1",
      );
      expect(trace.started()).toHaveLength(1);
    }));

  test("is the plugin's affair if the plugin is the newer one", () =>
    inEveryVariant(async (variant) => {
      const args = [JSON.stringify({ version: 7 })];
      const error = await rejection(loadKV(table, { ...variant, args, logger: false }));
      expect(error.code).toBe("handshake_mismatch");
      expect(error.message).toContain("version 1; the plugin serves version 7");
    }));

  // Both are of this package, so they go by names; magic and index are for the Go original.
  test("is not meant by another magic or another position in the file", () =>
    inEveryVariant(async (variant) => {
      const args = [JSON.stringify({ magic: "another", index: 9 })];
      await using kv = await loadKV(table, { ...variant, args });
      expect(text(await kv.get("a"))).toBe("value of a");
    }));
});

describe("a method", () => {
  test("is found by its name, wherever it stands in the table", () =>
    inEveryVariant(async (variant) => {
      await using kv = await loadKV(table, variant);
      expect(text(await kv.get("a"))).toBe("value of a");
      await kv.put("a", bytes("b"));
      expect((await rejection(kv.put("", bytes("b")))).message).toContain("no key");
    }));

  test("that the plugin lacks is unimplemented, and only that", () =>
    inEveryVariant(async (variant) => {
      const args = [JSON.stringify({ lacks: "Put" })];
      await using kv = await loadKV(table, { ...variant, args });
      const error = await rejection(kv.put("a", bytes("b")));
      expect(error.code).toBe("unimplemented");
      expect(error.message).toContain("example.KV.Put");
      expect(text(await kv.get("a"))).toBe("value of a");
    }));

  test("that the host does not know of is no reason to refuse", () =>
    inEveryVariant(async (variant) => {
      const old = { ...KV, methods: KV.methods.filter(({ name }) => name === "Get") };
      await using plugin = await loadPlugin(about, { kv: old }, variant);
      expect(text(await plugin.kv.get("echo hello"))).toBe("hello");
    }));
});
