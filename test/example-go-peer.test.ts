// A plugin in Go that was written from src/frame/PROTOCOL.md alone (example/go-peer), with our host:
// each side holds the other to the protocol, and ends the connection where it is broken.

import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { type LoadOptions, pluginOf } from "bun-plug";

import { loadKV } from "../example/gen/example_plug.ts";
import { loadWords, type Words } from "../example/go-peer/gen/words_plug.ts";
import { temporaryFolder } from "./support/compiled.ts";
import { describeGo } from "./support/go-peer.ts";
import { eventually, isRunning } from "./support/processes.ts";
import { rejection } from "./support/rejection.ts";
import { within } from "./support/within.ts";

const source = join(import.meta.dir, "../example/go-peer");
const program = join(temporaryFolder(), "go-peer");

// What the Go program says it accepts, see its main.go.
const accepted = {
  messageBytes: 4 * 2 ** 20,
  streamWindowBytes: 64 * 2 ** 10,
  metadataBytes: 4 * 2 ** 10,
};
// A message of a stream costs that much more than its length.
const messageCost = 12;
const mebibyte = "x".repeat(2 ** 20);

// Building from nothing but Go's own cache takes seconds; this is for an empty one.
const buildTimeoutMs = 5 * 60_000;

let building: Promise<void> | undefined;

function buildProgram(): Promise<void> {
  building ??= build();
  return building;
}

async function build(): Promise<void> {
  const child = Bun.spawn(["go", "build", "-mod=readonly", "-buildvcs=false", "-o", program, "."], {
    cwd: source,
    env: { ...process.env, GOFLAGS: "", GOWORK: "off", CGO_ENABLED: "0" },
    stdio: ["ignore", "inherit", "pipe"],
  });
  const stderr = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(`go build failed:\n${stderr}`);
}

function load(options: LoadOptions): Promise<Words & AsyncDisposable> {
  return loadWords(program, options);
}

async function textsOf(messages: AsyncIterable<{ readonly text: string }>): Promise<string[]> {
  return await Array.fromAsync(messages, ({ text }) => text);
}

/** Messages of one text, and how many of them have been asked for. */
function counted(text: string, times: number) {
  const state = { asked: 0, isFinished: false };
  function* messages() {
    try {
      for (; state.asked < times; state.asked++) yield { text };
    } finally {
      state.isFinished = true;
    }
  }
  return { state, messages: messages() };
}

/** Several times to the plugin and back: whatever it could still have sent has come by then. */
async function roundTrips(words: Words): Promise<void> {
  for (let i = 0; i < 20; i++) await words.echo("");
}

for (const transport of ["socket", "stdio"] as const) {
  describeGo(`the Go peer on ${transport}`, () => {
    beforeAll(buildProgram, buildTimeoutMs);

    test("answers every kind of rpc", async () => {
      await using words = await load({ transport });

      expect(pluginOf(words).stats()).toMatchObject({ wire: 2, transport });
      expect(await words.echo("ü\0🔑")).toBe("ü\0🔑");
      expect(await words.echo("")).toBe("");
      expect(await words.define("bun")).toBe("a runtime");
      expect(await textsOf(words.split(" to be  or not "))).toEqual(["to", "be", "or", "not"]);
      expect(await textsOf(words.split(""))).toEqual([]);
      expect(await words.join([{ text: "to" }, { text: "be" }])).toBe("to be");
      expect(await words.join([])).toBe("");
      expect(await textsOf(words.shout([{ text: "to" }, { text: "be" }]))).toEqual(["TO", "BE"]);
      expect(await textsOf(words.shout([]))).toEqual([]);
    });

    test("fails a call with the code and message that its handler chose, and lives on", async () => {
      await using words = await load({ transport });

      const unknown = await rejection(words.define("plug"));
      expect(unknown).toMatchObject({ code: "not_found", origin: "peer" });
      expect(unknown.message).toContain('no meaning is known of "plug"');
      expect(await rejection(words.define("panic"))).toMatchObject({ code: "internal" });
      expect(await words.define("go")).toBe("a language");
    });

    test("takes and gives messages of 1 MiB, in calls and in streams", async () => {
      await using words = await load({ transport });

      const sizes = [65_530, 65_531, 65_532, 65_533, 65_536, 131_072, 2 ** 20];
      for (const size of sizes) {
        const text = mebibyte.slice(0, size);
        expect((await words.echo(text)) === text).toBe(true);
      }
      const texts = sizes.map((size) => mebibyte.slice(0, size));
      const shouted = await textsOf(words.shout(texts.map((text) => ({ text }))));
      expect(shouted.map(({ length }) => length)).toEqual(sizes);
      expect(shouted.at(-1) === mebibyte.toUpperCase()).toBe(true);
      expect((await words.join([{ text: mebibyte }, { text: mebibyte }])).length).toBe(2 ** 21 + 1);
      expect((await textsOf(words.repeat("mebibytes", mebibyte, 3))).length).toBe(3);
    });

    test("says what it accepts, and its host sends nothing longer", async () => {
      await using words = await load({ transport });
      const text = "x".repeat(accepted.messageBytes + 1);
      const refused = { code: "resource_exhausted", origin: "local" };

      expect(await rejection(words.echo(text))).toMatchObject(refused);
      expect(await rejection(words.join([{ text }]))).toMatchObject(refused);
      // An entry of 9 bytes besides its value: two lengths of two bytes, one of one, a name of one
      // and three tags.
      const headers = (bytes: number) => ({ headers: { n: "x".repeat(bytes - 9) } });
      expect(await words.echo("", headers(accepted.metadataBytes))).toBe("");
      const tooLong = words.echo("", headers(accepted.metadataBytes + 1));
      expect(await rejection(tooLong)).toMatchObject(refused);
      expect(await words.echo("still there")).toBe("still there");
    });

    test("does not send a message that is longer than its host accepts", async () => {
      await using words = await load({ transport, maxMessageBytes: 100_000 });

      const error = await rejection(words.join(Array(3).fill({ text: mebibyte.slice(0, 40_000) })));
      expect(error).toMatchObject({ code: "resource_exhausted", origin: "peer" });
      expect(await words.echo("still there")).toBe("still there");
    });

    test("notices that a stream is left early", async () => {
      await using words = await load({ transport });

      let seen = 0;
      for await (const { text } of words.repeat("left", "again", 0)) {
        expect(text).toBe("again");
        if (++seen === 10) break;
      }
      expect(await words.report("left", true)).toMatchObject({ end: "cancelled" });
    });

    test("stops producing when nobody reads, after a window and one message", async () => {
      const windowBytes = 32 * 1024;
      await using words = await load({ transport, streamWindowBytes: windowBytes });
      const text = "x".repeat(1000);
      const messageBytes = 1 + 2 + text.length + messageCost; // with a tag and a length before the text

      const stream = words.repeat("slow", text, 100_000)[Symbol.asyncIterator]();
      await stream.next();
      const sentSoFar = async () => (await words.report("slow", false)).sent;
      while ((await sentSoFar()) * messageBytes < windowBytes);
      await roundTrips(words);
      // The message that was read has come back as credit at most.
      expect(await sentSoFar()).toBeLessThanOrEqual(Math.ceil(windowBytes / messageBytes) + 1);

      for (let i = 0; i < 1_000; i++) await stream.next();
      await roundTrips(words);
      expect(await sentSoFar()).toBeGreaterThan(1_000);
      expect(await sentSoFar()).toBeLessThanOrEqual(1_001 + Math.ceil(windowBytes / messageBytes));
      await stream.return?.();
      expect(await words.report("slow", true)).toMatchObject({ end: "cancelled" });
    });

    test("stops its host when it cannot get rid of its answers, and loses nothing", async () => {
      const windowBytes = 32 * 1024;
      await using words = await load({ transport, streamWindowBytes: windowBytes });
      const { state, messages } = counted("x".repeat(1000), 2_000);
      const bothWindows = Math.ceil((windowBytes + accepted.streamWindowBytes) / 1015);

      const stream = words.shout(messages)[Symbol.asyncIterator]();
      await stream.next();
      // All but what the Go side has taken and not given back yet, which is half a window at most.
      const full = bothWindows - accepted.streamWindowBytes / 2 / 1015 - 2;
      await eventually("the windows are full", () => state.asked >= full);
      await roundTrips(words);
      // And what each of the two has in hand.
      expect(state.asked).toBeLessThanOrEqual(bothWindows + 5);

      let answers = 1;
      while ((await stream.next()).done !== true) answers++;
      expect(answers).toBe(2_000);
    });

    test("keeps to the connection's window with many streams that stand still", async () => {
      // Answers stand still after one; what the host has sent waits, some of it with its end.
      await using words = await load({
        transport,
        streamWindowBytes: 1024,
        connectionWindowBytes: 4096,
      });
      const sources = Array.from({ length: 30 }, () => counted("x".repeat(4096), 14));
      const streams = sources.map(({ messages }) => words.shout(messages)[Symbol.asyncIterator]());

      await Promise.all(streams.map((stream) => stream.next()));
      await eventually("some are sent to their end", () => sources.some((s) => s.state.isFinished));
      await roundTrips(words);
      expect(sources.filter((s) => s.state.isFinished).length).toBeLessThan(10);

      const rest = streams.map(async (stream) => {
        let count = 1;
        while ((await stream.next()).done !== true) count++;
        return count;
      });
      expect(await Promise.all(rest)).toEqual(Array(30).fill(14));
    });

    test("answers 1,000 calls at once, of which it accepts 256 at a time", async () => {
      await using words = await load({ transport });

      const texts = Array.from({ length: 1_000 }, (_, i) => `call ${i}`);
      expect(await Promise.all(texts.map((text) => words.echo(text)))).toEqual(texts);
      const streams = texts.slice(0, 200).map((text) => textsOf(words.split(text)));
      expect(await Promise.all(streams)).toEqual(
        texts.slice(0, 200).map((text) => text.split(" ")),
      );
    });

    test("is told of a deadline and of a cancel, and stops the handler", async () => {
      await using words = await load({ transport });

      const late = await rejection(words.wait("late", 60_000, { timeoutMs: 30 }));
      expect(late).toMatchObject({ code: "deadline_exceeded" });
      expect((await words.report("late", true)).end).toMatch(/^(deadline_exceeded|cancelled)$/);

      const giveUp = new AbortController();
      const given = rejection(words.wait("given up", 60_000, { signal: giveUp.signal }));
      await words.report("given up", false); // once it runs
      giveUp.abort();
      expect(await given).toMatchObject({ code: "cancelled" });
      expect(await words.report("given up", true)).toMatchObject({ end: "cancelled" });
      expect(await words.wait("in time", 1, { timeoutMs: 60_000 })).toBe("waited");
    });

    test("answers a stream before it is over, and its sender is told", async () => {
      await using words = await load({ transport });
      const { state, messages } = counted("", 1_000_000);

      const error = await rejection(words.join(messages));
      expect(error).toMatchObject({ code: "invalid_argument", origin: "peer" });
      await eventually("the sender has stopped", () => state.isFinished);
      expect(state.asked).toBeLessThan(1_000_000);
      expect(await words.join([{ text: "and" }, { text: "on" }])).toBe("and on");
    });

    test("gets headers, and returns headers and trailers", async () => {
      await using words = await load({ transport });
      const seen: unknown[] = [];

      const text = await words.echo(mebibyte, {
        headers: { colour: "grün", "raw-bin": Uint8Array.of(0, 255) },
        onHeader: (headers) => seen.push(headers.get("colour"), headers.getBytes("raw-bin")),
        onTrailer: (trailers) => seen.push(trailers.get("trailer-colour")),
      });

      expect(text === mebibyte).toBe(true);
      expect(seen).toEqual(["grün", Uint8Array.of(0, 255), "grün"]);
    });

    test("answers a ping, and ends by itself when it is closed", async () => {
      const words = await load({ transport, stopTimeoutMs: 60_000 });
      const plugin = pluginOf(words);
      const pid = plugin.pid as number;

      expect(await plugin.ping({ timeoutMs: 5_000 })).toBeGreaterThan(0);
      await within(5_000, plugin.close());
      expect(isRunning(pid)).toBe(false);
    });

    test("drains on SIGTERM: finishes what runs, refuses what is new, and ends", async () => {
      await using words = await load({ transport });
      const { pid, closed } = pluginOf(words);
      const { readable, writable } = new TransformStream<{ readonly text: string }>();
      const texts = writable.getWriter();
      const stream = words.shout(readable)[Symbol.asyncIterator]();
      void texts.write({ text: "one" });
      expect((await stream.next()).value).toMatchObject({ text: "ONE" });

      process.kill(pid as number, "SIGTERM");
      let refused = await words.echo("").catch((error: unknown) => error);
      while (refused === "") refused = await words.echo("").catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: "draining" });
      void texts.write({ text: "two" });
      expect((await stream.next()).value).toMatchObject({ text: "TWO" });
      void texts.close();
      expect((await stream.next()).done).toBe(true);
      expect(await within(5_000, closed)).toMatchObject({ code: "plugin_exited" });
    });
  });
}

// A host by hand, for what ours never sends. Frames are written as in PROTOCOL.md.

/** A frame of wire 2; each character of the payload is a byte. */
function frame(kind: number, flags: number, id: number, payload = "", methodId = 0): Uint8Array {
  const bytes = Buffer.from(payload, "latin1");
  const out = new DataView(new ArrayBuffer(12 + bytes.length));
  out.setUint32(0, bytes.length, true);
  out.setUint8(4, kind);
  out.setUint8(5, flags);
  out.setUint16(6, methodId, true);
  out.setUint32(8, id, true);
  new Uint8Array(out.buffer).set(bytes, 12);
  return new Uint8Array(out.buffer);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

/** The host's frame of the handshake; `null` for a host that is the Go original. */
function offer({ protocol = 2, service = "words.Words" } = {}, isGo = false): Uint8Array {
  const hello = new BinaryWriter();
  hello.tag(1, 0).uint32(1).tag(2, 0).uint32(protocol);
  hello.tag(3, 2).fork().tag(1, 2).string(service).tag(2, 0).uint32(1).join();
  hello.tag(5, 2).fork().tag(1, 2).string("stdio").join();
  const handshake = new BinaryWriter().tag(1, 0).uint32(1).tag(2, 2).string("magic");
  if (!isGo) handshake.tag(10, 2).bytes(hello.finish());
  const payload = handshake.finish();
  return Uint8Array.of(0, 0xff, payload.length, ...payload);
}

/** Runs the program with this on its stdin, to its end. */
async function runWith(...input: readonly Uint8Array[]) {
  await using child = Bun.spawn([program], { stdio: [Buffer.concat(input), "pipe", "pipe"] });
  const [stdout, stderr, exitCode] = await within(
    5_000,
    Promise.all([child.stdout.bytes(), child.stderr.text(), child.exited]),
  );
  return { stdout, stderr, exitCode };
}

/** Says this to the program, and returns what it says until this ping, which is sent last. */
async function answersTo(...input: readonly Uint8Array[]) {
  await using child = Bun.spawn([program], { stdio: ["pipe", "pipe", "inherit"] });
  void child.stdin.write(Buffer.concat([...input, frame(ping, 0, 99)]));
  void child.stdin.flush();
  const lastWords = Buffer.from(frame(pong, 0, 99));
  let stdout = Buffer.alloc(0);
  for await (const chunk of child.stdout) {
    stdout = Buffer.concat([stdout, chunk]);
    if (stdout.subarray(-lastWords.length).equals(lastWords)) break;
  }
  return framesOf(stdout).slice(0, -1);
}

/** What comes after the handshake's answer, frame by frame: kind, id, and the payload as text. */
function framesOf(stdout: Uint8Array): (readonly [kind: number, id: number, payload: string])[] {
  const view = new DataView(stdout.buffer, stdout.byteOffset, stdout.byteLength);
  expect(stdout[2]).toBeGreaterThan(0x7f); // an answer of 128 bytes or more, but not of 16,384
  let at = 4 + ((stdout[2] as number) & 0x7f) + ((stdout[3] as number) << 7);
  const frames: [number, number, string][] = [];
  while (at < stdout.length) {
    const end = at + 12 + view.getUint32(at, true);
    const payload = new TextDecoder().decode(stdout.subarray(at + 12, end));
    frames.push([view.getUint8(at + 4), view.getUint32(at + 8, true), payload]);
    at = end;
  }
  return frames;
}

// Kinds, flags and ids of methods, as the tests below need them.
const [request, response, error, next, cancel, message, end] = [1, 2, 3, 4, 5, 6, 7];
const [credit, ping, pong] = [8, 10, 11];
const [more, fromCallee, clientStreams, serverStreams] = [1, 2, 8, 16];
const [metadata, nested, ignorable] = [32, 64, 128];
const [echo, wait, repeat, join_] = [1, 3, 5, 6];

describeGo("the Go peer and a host that breaks the protocol", () => {
  beforeAll(buildProgram, buildTimeoutMs);

  const long = "\x10\0\0\0"; // a message of 16 bytes is announced
  const wrong: readonly (readonly [title: string, says: string, ...input: Uint8Array[]])[] = [
    ["no handshake", "is no handshake", text("Hello, world, how are you?")],
    [
      "a payload of more than 64 KiB",
      "65537 bytes",
      offer(),
      frame(request, 0, 1, "x".repeat(65_537)),
    ],
    ["an unknown kind", "kind 99 is unknown", offer(), frame(99, 0, 0)],
    ["a flag that the kind may not have", "flags 0x08", offer(), frame(ping, clientStreams, 1)],
    ["an answer to nothing", "answers request 1", offer(), frame(response, fromCallee, 1)],
    ["a pong without a ping", "there was no ping", offer(), frame(pong, 0, 7)],
    ["request id 0", "request id 0 is taken", offer(), frame(request, 0, 0, "", echo)],
    [
      "a request id twice",
      "request id 1 is taken",
      offer(),
      ...Array<Uint8Array>(2).fill(frame(request, 0, 1, "", wait)),
    ],
    ["a piece of nothing", "there is none", offer(), frame(next, 0, 1, "x")],
    ["a message of nothing", "there is none", offer(), frame(message, 0, 1)],
    [
      "a message on a call without a stream",
      "expects none now",
      offer(),
      frame(request, 0, 1, "\x10\x7f", wait),
      frame(message, 0, 1),
    ],
    [
      "a message after the end",
      "there is none|expects none now",
      offer(),
      frame(request, clientStreams, 1, "", join_),
      frame(end, 0, 1),
      frame(message, 0, 1),
    ],
    [
      "more bytes than announced",
      "16 bytes was announced and 17",
      offer(),
      frame(request, more, 1, `${long}${"x".repeat(16)}`, echo),
      frame(next, more, 1, "x"),
    ],
    [
      "fewer bytes than announced",
      "16 bytes was announced and 2",
      offer(),
      frame(request, more, 1, `${long}x`, echo),
      frame(next, 0, 1, "x"),
    ],
    [
      "metadata that is none",
      "metadata of request 1",
      offer(),
      frame(request, metadata, 1, "\x01\0\0\0\x0f", echo),
    ],
    [
      "credit that is not outstanding",
      "of which 0 are outstanding",
      offer(),
      frame(request, 0, 1, "\x10\x7f", wait),
      frame(credit, 0, 1, "\x01\0\0\0"),
    ],
    [
      "messages without credit",
      "without credit",
      offer(),
      frame(request, clientStreams | serverStreams, 1, "", 7),
      ...Array<Uint8Array>(20).fill(frame(message, 0, 1, `\x0a\x80\xfa\x01${"x".repeat(32_000)}`)),
    ],
    [
      "more calls than it accepts",
      "more than the 256",
      offer(),
      ...Array.from({ length: 257 }, (_, i) => frame(request, 0, i + 1, "\x10\xff\x7f", wait)),
    ],
  ];
  test.each(wrong)("ends at %s, with a word on stderr", async (_title, says, ...input) => {
    const { stderr, exitCode } = await runWith(...input);
    expect(stderr).toMatch(new RegExp(`^go-peer: .*(${says}).*\n$`));
    expect(exitCode).toBe(1);
  });

  test("ends with code 0 when the host goes, whatever is in flight", async () => {
    const { stderr, exitCode } = await runWith(
      offer(),
      frame(request, 0, 1, "\x10\xff\xff\x7f", wait),
      frame(request, serverStreams, 2, "", repeat),
      frame(request, clientStreams, 3, "", join_).subarray(0, 7),
    );
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  });

  test("answers a cancel at once, and ignores one that has crossed with the answer", async () => {
    const answers = await answersTo(
      offer(),
      frame(request, 0, 1, "\x10\xff\xff\x7f", wait),
      frame(cancel, 0, 1),
      frame(cancel, 0, 1),
      frame(credit, 0, 1, "\x01\0\0\0"),
      frame(request, more, 1, `${long}x`, echo),
      frame(cancel, 0, 1),
      frame(99, ignorable, 0, "later"),
      frame(ping, 0, 9),
    );
    expect(answers).toEqual([
      [error, 1, expect.stringContaining("cancelled")],
      [error, 1, expect.stringContaining("cancelled")],
      [pong, 9, ""],
    ]);
  });

  test("answers a long request early, and drops the rest of it", async () => {
    const answers = await answersTo(
      offer(),
      frame(request, more, 1, `${long}x`, 99),
      frame(next, more, 1, "x"),
      frame(cancel, 0, 1), // stops sending
      frame(request, more, 1, `${long}x`, 99),
      frame(next, 0, 1, "x".repeat(15)), // has sent it all
      frame(request, clientStreams, 1, "", 99),
      frame(message, 0, 1, "x"),
      frame(end, 0, 1),
      frame(request, clientStreams, 1, "", echo),
      frame(cancel, 0, 1),
      frame(request, nested, 1, "\x07\0\0\0", 32_768),
    );
    expect(answers).toEqual([
      [error, 1, expect.stringContaining("unimplemented")],
      [error, 1, expect.stringContaining("unimplemented")],
      [error, 1, expect.stringContaining("unimplemented")],
      [error, 1, expect.stringContaining("unimplemented")],
      [error, 1, expect.stringContaining("not_found")],
    ]);
  });

  test("refuses a message and metadata that are too long when they begin, and goes on", async () => {
    const tooLong = "\0\0\x50\0"; // 5 MiB are announced
    const answers = await answersTo(
      offer(),
      frame(request, more, 1, `${tooLong}x`, echo),
      frame(cancel, 0, 1),
      frame(request, metadata, 1, `\x88\x13\0\0${"x".repeat(5_000)}`, echo),
      frame(request, clientStreams, 1, "", join_),
      frame(message, more, 1, `${tooLong}x`),
      frame(next, more, 1, "x"), // has not heard yet
      frame(cancel, 0, 1),
    );
    expect(answers).toEqual([
      [error, 1, expect.stringMatching(/resource_exhausted.*5242880.*4194304/)],
      [error, 1, expect.stringMatching(/resource_exhausted.*5000.*4096/)],
      [error, 1, expect.stringMatching(/resource_exhausted.*5242880.*4194304/)],
    ]);
  });

  test("refuses a service that it does not have, and a wire that it does not speak", async () => {
    const refused = await rejection(loadKV(program, { logger: false }));
    expect(refused).toMatchObject({ code: "handshake_mismatch" });
    expect(refused.message).toContain("this plugin serves words.Words");

    const newer = await runWith(offer({ protocol: 3 }));
    expect(new TextDecoder().decode(newer.stdout)).toContain("handshake_mismatch");
    const go = await runWith(offer({}, true));
    expect([...go.stdout.subarray(0, 2)]).toEqual([0xff, 0]);
  });
});
