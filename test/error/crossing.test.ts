// What of an error crosses between host and plugin: details, stacks. Both ways, and in streams.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

import { create } from "@bufbuild/protobuf";
import {
  anyPack,
  anyUnpack,
  DurationSchema,
  StringValueSchema,
  UInt32ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { type CallOptions, PlugError, pluginOf } from "bun-plug";
import type { TestOptions } from "bun-plug/testing";

import {
  type Desk,
  loadDesk,
  Logger,
  type LoggerHandler,
  testDesk,
} from "../peer/gen/peer_plug.ts";
import { rejection } from "../support/rejection.ts";
import { failingDesk, failingLogger } from "./fixture/failing.ts";

const plugin = join(import.meta.dir, "fixture/plugin.ts");

const opens: readonly (readonly [
  string,
  (options?: TestOptions) => Promise<Desk & AsyncDisposable>,
])[] = [
  ["memory", (options) => testDesk(failingDesk, withLogger(options))],
  [
    "a process",
    ({ load, run = {} } = {}) =>
      loadDesk(plugin, { ...withLogger({ load: load ?? {} }).load, args: [JSON.stringify(run)] }),
  ],
];

function withLogger(options: TestOptions = {}): TestOptions & { load: object } {
  return { ...options, load: { offer: [[Logger, failingLogger]], ...options.load } };
}

/** A call of each kind, in each direction: those of the host's logger are placed by the plugin. */
const kinds: readonly (readonly [
  string,
  (desk: Desk, what: string, options?: CallOptions) => Promise<unknown>,
])[] = [
  ["a unary call", (desk, what, options) => desk.ask(what, options)],
  ["a server stream", (desk, what, options) => Array.fromAsync(desk.watch(what, options))],
  ["a client stream", (desk, what, options) => desk.gather([{ text: what }], options)],
  ["a bidi stream", (desk, what, options) => Array.fromAsync(desk.chat([{ text: what }], options))],
];

for (const [over, open] of opens) {
  describe(`over ${over},`, () => {
    let desk: Desk & AsyncDisposable;

    beforeAll(async () => {
      desk = await open();
    });

    afterAll(() => desk[Symbol.asyncDispose]());

    test.each(kinds)("details cross from plugin to host in %s", async (_, call) => {
      const { code, rawMessage, origin, details } = await rejection(call(desk, "details"));

      expect([code, rawMessage, origin]).toEqual([
        "failed_precondition",
        "see the details",
        "peer",
      ]);
      expect(details).toHaveLength(2);
      expect(anyUnpack(details[0] as never, StringValueSchema)?.value).toBe("a detail");
      expect(anyUnpack(details[1] as never, DurationSchema)).toMatchObject({ seconds: 5n });
      // It is an Any like any other.
      expect(details[0]).toEqual(
        anyPack(StringValueSchema, create(StringValueSchema, { value: "a detail" })),
      );
      expect(anyUnpack(details[0] as never, UInt32ValueSchema)).toBeUndefined();
    });

    test.each(["log", "tail", "logAll", "mirror"])(
      "details cross from host to plugin, and on to the host, of Logger.%s",
      async (method) => {
        // The plugin answers with what it has been told.
        const seen = JSON.parse(await desk.ask(`host ${method} details`));
        const passedOn = await rejection(desk.ask(`pass on ${method} details`));

        expect(seen).toEqual({
          code: "failed_precondition",
          origin: "peer",
          details: ["a detail", 5],
          hasStack: false,
        });
        expect(passedOn.details).toHaveLength(2);
        expect(anyUnpack(passedOn.details[0] as never, StringValueSchema)?.value).toBe("a detail");
      },
    );

    test("details of more than 16 KiB are left out, and the text says so", async () => {
      for (const [, call] of kinds) {
        const error = await rejection(call(desk, "too many details"));
        expect(error.details).toEqual([]);
        expect(error.code).toBe("failed_precondition");
        expect(error.rawMessage).toMatch(
          /^see the details \(its details were left out: \d{5} bytes, more than 16384\)$/,
        );
      }
    });

    test("the largest error with the largest trailers does not end the connection", async () => {
      await using desk = await open({
        load: { maxMetadataBytes: 16_384 },
        run: { maxMetadataBytes: 16_384, exposeStack: true },
      });

      const error = await rejection(desk.ask("largest"));

      expect(error.code).toBe("aborted");
      expect(error.rawMessage).toBe("漢".repeat(8_192));
      expect(error.details).toHaveLength(1);
      expect(await desk.ask("fine")).toBe("fine");
    });

    test("stacks stay in the plugin unless exposeStack is set there", async () => {
      await using silent = await open({ load: { exposeStack: true } });
      await using open$ = await open({ run: { exposeStack: true } });

      for (const [, call] of kinds) {
        const [hidden, shown] = [
          await rejection(call(silent, "throw")),
          await rejection(call(open$, "throw")),
        ];
        expect([hidden.code, hidden.rawMessage]).toEqual(["unknown", "thrown here"]);
        expect("peerStack" in hidden).toBe(false);
        expect(`${hidden.stack}`).not.toContain("thrownInTheHandler");
        expect(shown.peerStack).toContain("thrown here");
        expect(shown.peerStack).toContain("thrownInTheHandler");
        // What is shown to the host's user is where the host called.
        expect(`${shown.stack}`).not.toContain("thrownInTheHandler");
      }
      const { peerStack } = await rejection(open$.ask("details"));
      expect(peerStack).toContain("see the details");
    });

    test("stacks of an offered service stay in the host unless exposeStack is set there", async () => {
      await using silent = await open({ run: { exposeStack: true } });
      await using shown = await open({ load: { exposeStack: true } });

      for (const method of ["log", "tail", "logAll", "mirror"]) {
        expect(JSON.parse(await silent.ask(`host ${method} details`)).hasStack).toBe(false);
        expect(JSON.parse(await shown.ask(`host ${method} details`)).hasStack).toBe(true);
      }
    });
  });
}

test("an error of a reference's object crosses like that of a service", async () => {
  const logger: LoggerHandler = failingLogger;
  await using desk = await testDesk(
    {
      ...failingDesk,
      async hand(what, ref, context) {
        await using own = context.resolve(Logger, ref);
        const error = await rejection(own.log(what, { context }));
        return JSON.stringify([error.code, error.details.length, error.peerStack !== undefined]);
      },
    },
    { load: { exposeStack: true } },
  );
  using ref = pluginOf(desk).refer(Logger, logger);

  expect(JSON.parse(await desk.hand("details", ref))).toEqual(["failed_precondition", 2, true]);
});

test("a code that only the runtime raises is unknown when a handler throws it, details and all", async () => {
  const details = [anyPack(StringValueSchema, create(StringValueSchema, { value: "x" }))];
  await using desk = await testDesk({
    ...failingDesk,
    ask() {
      throw new PlugError("plugin_exited", "it says", { details });
    },
  });

  const error = await rejection(desk.ask(""));

  expect([error.code, error.rawMessage, error.retry]).toEqual(["unknown", "it says", "never"]);
  expect(error.details).toEqual(details);
});
