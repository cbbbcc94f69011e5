// A host and a plugin of different editions of a contract: methods and services that have moved,
// come or gone, and fields too. Real processes.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { loadPlugin, pluginOf } from "bun-plug";

import type { Stored as NewStored } from "./new/gen/contract_new_pb.ts";
import * as newer from "./new/gen/contract_new_plug.ts";
import * as older from "./old/gen/contract_old_plug.ts";
import { inEveryVariant } from "../support/plugins.ts";
import { rejection } from "../support/rejection.ts";

const oldPlugin = join(import.meta.dir, "fixture/old-plugin.ts");
const newPlugin = join(import.meta.dir, "fixture/new-plugin.ts");

const desk = { who: (name: string) => `host's ${name}` };

async function* of<T>(...messages: readonly T[]): AsyncGenerator<T> {
  yield* messages;
}

describe("an older host and a newer plugin", () => {
  test("call what they both have, by name, wherever it stands", () =>
    inEveryVariant(async (variant) => {
      const { Shop, Desk } = older;
      const options = { ...variant, offer: [[Desk, desk] as const] };
      await using plugin = await loadPlugin(newPlugin, { shop: Shop, desk: Desk }, options);
      const { shop } = plugin;

      const answers = await Promise.all([
        shop.get("a"),
        shop.put("put a", 1, ""),
        shop.count("a"),
        ...(await Array.fromAsync(shop.list("a"))),
        ...(await Array.fromAsync(shop.mirror(of({ item: { name: "mirror a" } })))),
      ]);

      expect(answers.map(({ item }) => item?.name)).toEqual([
        "get a",
        "put a",
        "count host's a",
        "list a",
        "mirror a",
      ]);
      expect(await plugin.desk.who("a")).toBe("newer a");
    }));

  test("fail with unimplemented what the plugin has no more, and only that", () =>
    inEveryVariant(async (variant) => {
      await using shop = await older.loadShop(newPlugin, variant);

      const [gone, there] = [rejection(shop.retired("a")), shop.get("a")];

      expect((await gone).code).toBe("unimplemented");
      expect((await gone).message).toContain("contract.Shop.Retired");
      expect((await there).item?.name).toBe("get a");
      expect(pluginOf(shop).stats().inFlightCount).toBe(0);
    }));

  test("keep fields that one of them does not know, where a message is passed on whole", async () => {
    await using shop = await older.loadShop(newPlugin);

    // The plugin does not know notes.
    const [back] = await Array.fromAsync(
      shop.mirror(of({ item: { name: "a", count: 2, note: "kept" }, total: 3 })),
    );
    const { item } = await shop.put("a", 2, "lost");

    expect(back?.item).toMatchObject({ name: "a", count: 2, note: "kept" });
    expect(item).toMatchObject({ name: "a", count: 2, note: "" });
  });
});

describe("a newer host and an older plugin", () => {
  test("call what they both have, by name, wherever it stands", () =>
    inEveryVariant(async (variant) => {
      const { Shop, Desk } = newer;
      const options = { ...variant, offer: [[Desk, desk] as const] };
      await using plugin = await loadPlugin(oldPlugin, { desk: Desk, shop: Shop }, options);
      const { shop } = plugin;

      const answers = await Promise.all([
        shop.get("a"),
        shop.put("put a", 1, ["x"], undefined),
        shop.count("a"),
        ...(await Array.fromAsync(shop.list("a"))),
        ...(await Array.fromAsync(shop.mirror(of({ item: { name: "mirror a" } })))),
      ]);

      expect(answers.map(({ item }) => item?.name)).toEqual([
        "get a",
        "put a",
        "count host's a",
        "list a",
        "mirror a",
      ]);
      expect(await plugin.desk.who("a")).toBe("older a");
    }));

  test("fail with unimplemented what the plugin does not have yet, and only that", () =>
    inEveryVariant(async (variant) => {
      await using shop = await newer.loadShop(oldPlugin, variant);

      const [missing, there] = [rejection(shop.added("a")), shop.get("a")];

      expect((await missing).message).toStartWith("[unimplemented]");
      expect((await missing).message).toContain("contract.Shop.Added");
      expect((await there).item?.name).toBe("get a");
    }));

  test("keep fields that one of them does not know, where a message is passed on whole", async () => {
    await using shop = await newer.loadShop(oldPlugin);
    const item = { name: "a", count: 2, tags: ["kept", "too"], maker: { name: "m" } };

    // The plugin does not know tags and makers.
    const [back] = await Array.fromAsync(shop.mirror(of({ item, total: 3 })));
    const put = await shop.put("a", 2, ["lost"], { name: "lost" });
    const got = await shop.get("a");

    expect((back as NewStored).item).toMatchObject(item);
    expect(put.item).toMatchObject({ name: "a", count: 2, tags: [] });
    // What the host does not know is there, and goes back with the message.
    const [again] = await Array.fromAsync(shop.mirror(of(got)));
    expect(again?.item?.$unknown).toEqual(got.item?.$unknown as never);
    expect(got.item?.$unknown?.map(({ no }) => no)).toEqual([3]);
  });

  test("tell the plugin that asks for what the host offers no more, and only that call", async () => {
    await using shop = await newer.loadShop(oldPlugin);

    const error = await rejection(shop.count("a"));

    expect(error.message).toBe(
      "[unimplemented] the host does not offer contract.Desk; it offers nothing",
    );
    expect((await shop.get("a")).item?.name).toBe("get a");
  });
});

test("a method never answers for another, whichever of all is called, at once", async () => {
  const { Shop, Desk } = older;
  await using plugin = await loadPlugin(
    newPlugin,
    { shop: Shop, desk: Desk },
    { offer: [[Desk, desk]] },
  );
  const names = Array.from({ length: 100 }, (_, i) => `${i}`);

  const answers = await Promise.all(
    names.map(async (name) => [
      (await plugin.shop.get(name)).item?.name,
      (await plugin.shop.count(name)).item?.name,
      await plugin.desk.who(name),
      (await rejection(plugin.shop.retired(name))).code,
    ]),
  );

  expect(answers).toEqual(
    names.map((name) => [`get ${name}`, `count host's ${name}`, `newer ${name}`, "unimplemented"]),
  );
});
