// Interceptors of a load and of a run, with every kind of rpc. In memory: they know no transport.

import { describe, expect, test } from "bun:test";

import { create } from "@bufbuild/protobuf";
import {
  type InterceptedRequest,
  type InterceptedResponse,
  type Interceptor,
  Metadata,
  PlugError,
  pluginOf,
} from "bun-plug";
import type { TestOptions } from "bun-plug/testing";

import { kinds, told } from "../metadata/support/kinds.ts";
import { metadataDesk } from "../metadata/support/desk.ts";
import { NoteSchema, type Text, TextSchema } from "../peer/gen/peer_pb.ts";
import { type DeskHandler, Logger, type LoggerHandler, testDesk } from "../peer/gen/peer_plug.ts";
import { eventually } from "../support/processes.ts";
import { rejection } from "../support/rejection.ts";
import { within } from "../support/within.ts";

const pass: Interceptor = (request, next) => next(request);

const echoDesk: DeskHandler = {
  ask: (text) => `${text}!`,
  hand: (text) => text,
  make: (text) => ({ text }),
  *watch(text) {
    yield { text: `${text} 1` };
    yield { text: `${text} 2` };
  },
  async gather(messages) {
    return (await textsOf(messages)).join();
  },
  async *chat(messages) {
    for await (const { text } of messages) yield { text: `${text}!` };
  },
};

function withHandler(handler: Partial<DeskHandler>, options?: TestOptions) {
  return testDesk({ ...echoDesk, ...handler }, options);
}

function onLoad(...interceptors: readonly Interceptor[]): TestOptions {
  return { load: { interceptors, drainTimeoutMs: 0 } };
}

function onRun(...interceptors: readonly Interceptor[]): TestOptions {
  return { load: { drainTimeoutMs: 0 }, run: { interceptors, drainTimeoutMs: 0 } };
}

async function textsOf(messages: AsyncIterable<{ readonly text: string }>): Promise<string[]> {
  return (await Array.fromAsync(messages)).map(({ text }) => text);
}

const notes = [{ text: "a" }, { text: "b" }];

/** Each kind of rpc of the echoing desk, and what it gives. */
const calls = [
  {
    kind: "unary",
    call: async (desk: Awaited<ReturnType<typeof testDesk>>, options = {}) => [
      await desk.ask("a", options),
    ],
    gives: ["a!"],
  },
  {
    kind: "server_streaming",
    call: (desk: Awaited<ReturnType<typeof testDesk>>, options = {}) =>
      textsOf(desk.watch("a", options)),
    gives: ["a 1", "a 2"],
  },
  {
    kind: "client_streaming",
    call: async (desk: Awaited<ReturnType<typeof testDesk>>, options = {}) => [
      await desk.gather(notes, options),
    ],
    gives: ["a,b"],
  },
  {
    kind: "bidi_streaming",
    call: (desk: Awaited<ReturnType<typeof testDesk>>, options = {}) =>
      textsOf(desk.chat(notes, options)),
    gives: ["a!", "b!"],
  },
] as const;

const isStream = (message: unknown): message is AsyncIterable<Text> =>
  Symbol.asyncIterator in (message as object);

/** A message with another text, or a stream of them. */
function changed(message: unknown, change: (text: string) => string): never {
  if (!isStream(message)) {
    const { $typeName, text } = message as Text;
    const schema = ($typeName as string) === "peer.Note" ? NoteSchema : TextSchema;
    return create(schema as typeof TextSchema, { text: change(text) }) as never;
  }
  return (async function* () {
    for await (const one of message) yield changed(one, change);
  })() as never;
}

/** Changes every message on its way to the handler, and on its way back. */
function marking(mark: string): Interceptor {
  return async (request, next) => {
    const message = changed(request.message, (text) => `${text}>${mark}`);
    const response = await next({ ...request, message } as InterceptedRequest);
    return { ...response, message: changed(response.message, (text) => `${text}<${mark}`) };
  };
}

for (const [side, on] of [
  ["a load", onLoad],
  ["a run", onRun],
] as const) {
  describe(`interceptors of ${side}:`, () => {
    describe.each(calls)("$kind calls", ({ kind, call, gives }) => {
      test("go through them in order, the first one outermost", async () => {
        const events: string[] = [];
        const noting =
          (name: string): Interceptor =>
          async (request, next) => {
            events.push(`${name} in`);
            try {
              return await next(request);
            } finally {
              events.push(`${name} out`);
            }
          };
        await using desk = await testDesk(echoDesk, on(noting("1"), noting("2"), noting("3")));

        expect(await call(desk)).toEqual([...gives]);
        expect(events).toEqual(["1 in", "2 in", "3 in", "3 out", "2 out", "1 out"]);
      });

      test("may have their messages changed, on both ways", async () => {
        await using desk = await testDesk(echoDesk, on(marking("1"), marking("2")));

        const texts = await call(desk);

        expect(texts).toEqual(
          {
            unary: ["a>1>2!<2<1"],
            server_streaming: ["a>1>2 1<2<1", "a>1>2 2<2<1"],
            client_streaming: ["a>1>2,b>1>2<2<1"],
            bidi_streaming: ["a>1>2!<2<1", "b>1>2!<2<1"],
          }[kind],
        );
      });

      test("are told by service, method, kind, headers, options and message", async () => {
        const seen: InterceptedRequest[] = [];
        await using desk = await testDesk(
          echoDesk,
          on((request, next) => {
            seen.push(request);
            return next(request);
          }),
        );
        const options = { headers: { a: "1" }, timeoutMs: 10_000 };

        await call(desk, options);

        const [request] = seen as [InterceptedRequest];
        const names = { unary: "Ask", server_streaming: "Watch", client_streaming: "Gather" };
        expect(seen).toHaveLength(1);
        expect([request.service, request.kind]).toEqual(["peer.Desk", kind]);
        expect(request.method).toBe({ ...names, bidi_streaming: "Chat" }[kind]);
        expect(request.headers.toJSON()).toEqual({ a: "1" });
        expect(isStream(request.message)).toBe(
          kind.endsWith("client_streaming") || kind === "bidi_streaming",
        );
        if (on === onLoad) expect(request.options).toBe(options);
        else {
          expect(request.options).toBe(request.options.context as never);
          expect(request.options.timeoutMs).toBeLessThanOrEqual(10_000);
        }
      });

      test("may be answered in place, and then go no further", async () => {
        let handled = 0;
        const counting: Interceptor = (request, next) => {
          handled += 1;
          return next(request);
        };
        const message = create(TextSchema, { text: "in place" });
        const note = create(NoteSchema, { text: "in place" });
        await using desk = await testDesk(
          echoDesk,
          on(async ({ kind }) => {
            const isStreamed = kind === "server_streaming" || kind === "bidi_streaming";
            return {
              headers: new Metadata(),
              trailers: new Metadata(),
              message: isStreamed
                ? (async function* () {
                    yield note;
                  })()
                : message,
            };
          }, counting),
        );

        expect(await call(desk)).toEqual(["in place"]);
        expect(handled).toBe(0);
      });

      test("reject with what an interceptor throws, at once or later, and no other call does", async () => {
        for (const isSync of [true, false]) {
          let count = 0;
          const throwing: Interceptor = (request, next) => {
            count += 1;
            if (count > 1) return next(request);
            const error = new PlugError("permission_denied", "not you");
            if (isSync) throw error;
            return Promise.reject(error);
          };
          await using desk = await testDesk(echoDesk, on(throwing));

          const error = await rejection(call(desk));

          expect([error.code, error.rawMessage]).toEqual(["permission_denied", "not you"]);
          expect(error.origin).toBe(on === onLoad ? "local" : "peer");
          expect(await call(desk)).toEqual([...gives]);
        }
      });

      test("may have their errors mapped", async () => {
        const fail = (): never => {
          throw new PlugError("aborted", "the handler does not like it");
        };
        const mapping: Interceptor = async (request, next) => {
          try {
            const response = await next(request);
            if (!isStream(response.message)) return response;
            const { message } = response;
            return { ...response, message: mapped(message) };
          } catch (error) {
            throw map(error);
          }
        };
        const map = (error: unknown): PlugError =>
          new PlugError("failed_precondition", `was ${(error as PlugError).code}`);
        async function* mapped(message: AsyncIterable<Text>) {
          try {
            yield* message;
          } catch (error) {
            throw map(error);
          }
        }
        await using desk = await testDesk(
          { ask: fail, hand: fail, make: fail, watch: fail, gather: fail, chat: fail },
          on(mapping),
        );

        const error = await rejection(call(desk));

        expect([error.code, error.rawMessage]).toEqual(["failed_precondition", "was aborted"]);
      });

      test("are cancelled through them, and their deadlines hold", async () => {
        const reasons: string[] = [];
        const stuck = (context: { readonly signal: AbortSignal }): Promise<never> =>
          new Promise((_resolve, reject) =>
            context.signal.addEventListener("abort", () => {
              reasons.push((context.signal.reason as PlugError).code);
              reject(context.signal.reason);
            }),
          );
        await using desk = await withHandler(
          {
            ask: (_text, context) => stuck(context),
            // eslint-disable-next-line require-yield
            async *watch(_text, context) {
              await stuck(context);
            },
            gather: (_messages, context) => stuck(context),
            async *chat(_messages, context) {
              await stuck(context);
            },
          },
          on(pass, pass),
        );
        const controller = new AbortController();

        const cancelled = rejection(call(desk, { signal: controller.signal }));
        const late = rejection(call(desk, { timeoutMs: 30 }));
        expect((await within(2_000, late)).code).toBe("deadline_exceeded");
        controller.abort("why");
        const error = await within(2_000, cancelled);

        expect(error.code).toBe("cancelled");
        await eventually("both handlers have heard", () => reasons.length === 2);
        expect(reasons.toSorted()[0]).toBe("cancelled");
        expect(pluginOf(desk).stats().inFlightCount).toBe(0);
      });
    });

    test("see headers and trailers of the response, once it is there", async () => {
      const seen: string[] = [];
      const seeing: Interceptor = async (request, next) => {
        const response = await next(request);
        const say = (): void =>
          void seen.push(JSON.stringify([response.headers, response.trailers]));
        if (!isStream(response.message)) {
          say();
          return response;
        }
        const { message } = response;
        async function* ending() {
          yield* message as AsyncIterable<Text>;
          say();
        }
        return { ...response, message: ending() };
      };
      await using desk = await testDesk(metadataDesk(), on(seeing));

      for (const { place } of kinds) {
        await told(place, desk, { headers: { h: "1" }, trailers: { t: "2" } });
      }

      expect(seen).toEqual(new Array(4).fill(`[{"h":"1"},{"t":"2"}]`));
    });

    test("may change the headers of the request", async () => {
      const changing: Interceptor = (request, next) => {
        request.headers.set("added", "1").delete("removed");
        return next(request);
      };
      await using desk = await testDesk(metadataDesk(), on(changing));

      for (const { place } of kinds) {
        const { texts } = await told(place, desk, {}, { removed: "1", kept: "1" });
        expect(texts[0]).toBe(`["kept: 1","added: 1"]`);
      }
    });

    test("leave the caller's onHeader and onTrailer what they are told", async () => {
      await using desk = await testDesk(metadataDesk(), on(pass));

      for (const { place } of kinds) {
        const { events } = await told(place, desk, { headers: { h: "1" }, trailers: { t: "2" } });
        expect(events.filter((event) => event !== "message")).toEqual([
          "header h: 1",
          "trailer t: 2",
          "end",
        ]);
      }
    });

    test("may call next again", async () => {
      let tries = 0;
      const retrying: Interceptor = async (request, next) => {
        for (;;) {
          try {
            return await next(request);
          } catch (error) {
            if ((error as PlugError).code !== "unavailable") throw error;
          }
        }
      };
      await using desk = await withHandler(
        {
          ask(text) {
            tries += 1;
            if (tries < 3) throw new PlugError("unavailable", "not yet");
            return `${text} at try ${tries}`;
          },
        },
        on(retrying),
      );

      expect(await desk.ask("there")).toBe("there at try 3");
    });

    test("may take their time, and keep no other call waiting", async () => {
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      let isFirst = true;
      const waiting: Interceptor = async (request, next) => {
        if (isFirst) {
          isFirst = false;
          await gate;
        }
        return next(request);
      };
      await using desk = await testDesk(echoDesk, on(waiting));

      const first = desk.ask("first");
      expect(await desk.ask("second")).toBe("second!");
      open();

      expect(await first).toBe("first!");
    });

    test("may time calls, of those that fail too", async () => {
      const spans: number[] = [];
      const timed: Interceptor = async (request, next) => {
        const startedAt = performance.now();
        try {
          return await next(request);
        } finally {
          spans.push(performance.now() - startedAt);
        }
      };
      await using desk = await withHandler(
        {
          async ask(text) {
            await Bun.sleep(20);
            if (text === "fail") throw new Error("x");
            return text;
          },
        },
        on(timed),
      );

      await desk.ask("ok");
      await rejection(desk.ask("fail"));

      expect(spans).toHaveLength(2);
      for (const span of spans) expect(span).toBeGreaterThanOrEqual(19);
    });

    test("stop the producer of a stream that is left early", async () => {
      let stopped = 0;
      async function* endless() {
        try {
          for (;;) {
            yield { text: "x" };
            await Bun.sleep(0);
          }
        } finally {
          stopped += 1;
        }
      }
      await using desk = await withHandler(
        { watch: endless, chat: endless, gather: () => "enough" },
        on(pass, marking("m")),
      );

      for await (const _ of desk.watch("")) break;
      for await (const _ of desk.chat(endless())) break;
      expect(await desk.gather(endless())).toBe("enough<m");

      // The handler's two, and the caller's sources of the second and the third call.
      await eventually("all four have stopped", () => stopped === 4);
    });

    // A generator that is at work queues what is asked of it; what stands in between must not.
    test("tell the producer at once also while it is at work", async () => {
      let stopped = 0;
      const stuck = (first: number) => ({
        count: 0,
        [Symbol.asyncIterator]() {
          return this;
        },
        next() {
          this.count += 1;
          if (this.count > first) return new Promise<never>(() => {});
          return Promise.resolve({ done: false as const, value: { text: "x" } });
        },
        return() {
          stopped += 1;
          return Promise.resolve({ done: true as const, value: undefined });
        },
      });
      await using desk = await withHandler(
        { watch: () => stuck(1), chat: () => stuck(1), gather: () => "enough" },
        on(pass, pass),
      );

      for await (const _ of desk.watch("")) break;
      for await (const _ of desk.chat(stuck(0))) break;
      expect(await desk.gather(stuck(0))).toBe("enough");
      const iterator = desk.watch("")[Symbol.asyncIterator]();
      await iterator.next();
      const pending = iterator.next();
      await within(2_000, iterator.return?.() as Promise<unknown>);

      expect(await within(2_000, pending)).toMatchObject({ done: true });
      await eventually("all five have stopped", () => stopped === 5);
      await eventually("no call is left", () => pluginOf(desk).stats().inFlightCount === 0);
    });

    test("that answer with nothing, or with no stream, fail their call alone", async () => {
      const { headers, trailers } = { headers: new Metadata(), trailers: new Metadata() };
      const answers: unknown[] = [undefined, {}, { headers, trailers, message: 5 }];
      let answer: unknown;
      let isOn = true;
      const wrong: Interceptor = (request, next) =>
        isOn ? Promise.resolve(answer as InterceptedResponse) : next(request);
      await using desk = await testDesk(echoDesk, on(wrong));

      for (answer of answers) {
        isOn = true;
        const texts = textsOf(desk.watch("a"));
        const outcome = await within(
          2_000,
          texts.catch(() => "failed"),
        );
        expect(outcome).toBe("failed");
        isOn = false;
        expect(await desk.ask("a")).toBe("a!");
      }
    });
  });
}

describe("interceptors of a load", () => {
  test("hold timeoutMs over all that they try", async () => {
    const lefts: (number | undefined)[] = [];
    const retrying: Interceptor = async (request, next) => {
      for (;;) {
        try {
          return await next(request);
        } catch {
          await Bun.sleep(30);
        }
      }
    };
    await using desk = await withHandler(
      {
        ask(_text, { timeoutMs }) {
          lefts.push(timeoutMs);
          throw new PlugError("unavailable", "never");
        },
      },
      onLoad(retrying),
    );

    const startedAt = performance.now();
    const error = await rejection(desk.ask("", { timeoutMs: 150 }));
    const span = performance.now() - startedAt;

    expect(error.code).toBe("deadline_exceeded");
    expect(span).toBeGreaterThanOrEqual(149);
    expect(span).toBeLessThan(1_000);
    expect(lefts.length).toBeGreaterThan(1);
    expect(lefts).toEqual(lefts.toSorted((a, b) => (b as number) - (a as number)));
  });

  test.each(calls)(
    "that wait for ever hold up no $kind call longer than its deadline and its signal",
    async ({ call }) => {
      await using desk = await testDesk(
        echoDesk,
        onLoad(() => new Promise(() => {})),
      );
      const controller = new AbortController();

      const late = await within(2_000, rejection(call(desk, { timeoutMs: 20 })));
      const cancelled = rejection(call(desk, { signal: controller.signal }));
      controller.abort("why");

      expect(late.code).toBe("deadline_exceeded");
      expect(await within(2_000, cancelled)).toMatchObject({ code: "cancelled", cause: "why" });
    },
  );

  test.each(calls)(
    "that answer with nothing reject a $kind call with a PlugError",
    async ({ call }) => {
      await using desk = await testDesk(
        echoDesk,
        onLoad(async () => undefined as never),
      );

      expect((await rejection(call(desk))).origin).toBe("local");
    },
  );

  test("are not called for a stream that nobody iterates", async () => {
    let count = 0;
    await using desk = await testDesk(
      echoDesk,
      onLoad((request, next) => {
        count += 1;
        return next(request);
      }),
    );

    desk.watch("");
    desk.chat([]);
    await desk.ask("");

    expect(count).toBe(1);
  });
});

describe("interceptors of a run", () => {
  test("see the handler's context, and may set response headers and trailers", async () => {
    const seen: unknown[] = [];
    const setting: Interceptor = async (request, next) => {
      const context = request.options.context!;
      seen.push([context.method, context.version, context.requestHeaders === request.headers]);
      context.responseHeaders.set("by-context", "1");
      const response = await next(request);
      response.headers.set("on-response", "2");
      response.trailers.set("trailer", "3");
      return response;
    };
    await using desk = await testDesk(metadataDesk(), onRun(setting));

    for (const { place } of kinds) {
      const { events } = await told(place, desk, { headers: { h: "0" } });
      expect(events.filter((event) => event !== "message")).toEqual([
        expect.stringMatching(/^header .*by-context: 1.*on-response: 2/),
        "trailer trailer: 3",
        "end",
      ]);
      expect(events[0]).toContain("h: 0");
    }

    expect(seen).toEqual(["Ask", "Watch", "Gather", "Chat"].map((name) => [name, 1, true]));
  });

  test("answer with headers and trailers of their own", async () => {
    await using desk = await testDesk(
      metadataDesk(),
      onRun(async () => ({
        headers: new Metadata({ h: "in place" }),
        trailers: new Metadata({ t: "in place" }),
        message: create(TextSchema, { text: "in place" }),
      })),
    );

    const { events, texts } = await told(kinds[0]!.place, desk, {});

    expect(texts).toEqual(["in place"]);
    expect(events).toEqual(["header h: in place", "trailer t: in place", "message", "end"]);
  });

  test("answer what is no response with internal", async () => {
    await using desk = await testDesk(
      echoDesk,
      onRun(async (request, next) => ({ ...(await next(request)), message: 5 as never })),
    );

    expect((await rejection(desk.ask("a"))).code).toBe("internal");
  });
});

test("calls of offered services and of references go through the interceptors of both sides", async () => {
  const seen: string[] = [];
  const noting =
    (side: string): Interceptor =>
    (request, next) => {
      seen.push(`${side} ${request.service}.${request.method}`);
      return next(request);
    };
  const logger: LoggerHandler = {
    log: (text) => `${text} logged`,
    tail: () => [],
    logAll: () => "",
    mirror: (messages) => messages,
  };
  await using desk = await withHandler(
    {
      ask: (text, context) => context.host(Logger).log(text, context),
      async hand(text, ref, context) {
        await using own = context.resolve(Logger, ref);
        return await own.log(text, { context });
      },
      make: (text, context) => ({ text, ref: context.refer(Logger, logger) }),
    },
    {
      load: { offer: [[Logger, logger]], interceptors: [noting("host")] },
      run: { interceptors: [noting("plugin")] },
    },
  );
  const seenSince = (): string[] => seen.splice(0);
  const [host, plugin] = ["host", "plugin"].map((side) => `${side} peer.Logger.Log`);

  expect(await desk.ask("offered")).toBe("offered logged");
  expect(seenSince()).toEqual([
    "host peer.Desk.Ask",
    "plugin peer.Desk.Ask",
    plugin,
    host,
  ] as never);

  using ref = pluginOf(desk).refer(Logger, logger);
  expect(await desk.hand("referred", ref)).toBe("referred logged");
  expect(seenSince().slice(2)).toEqual([plugin, host] as never);

  const { ref: made } = await desk.make("");
  await using theirs = pluginOf(desk).resolve(Logger, made);
  expect(await theirs.log("made")).toBe("made logged");
  expect(seenSince().slice(2)).toEqual([host, plugin] as never);
});
