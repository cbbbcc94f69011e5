import { describe, expect, test } from "bun:test";

import { defaultLimits } from "../../src/call/limits.ts";
import type { HelloService } from "../../src/handshake/hello.ts";
import { offerFrame } from "../../src/handshake/host-handshake.ts";
import {
  answerFrame,
  decisionOf,
  offeredTransports,
  outcomeOf,
  servedKv,
  wantedKv,
} from "../support/hellos.ts";
import { rejection } from "../support/rejection.ts";

function service(name: string, firstMethodId: number, methodCount: number): HelloService {
  const methods = Array.from({ length: methodCount }, (_, i) => `M${i}`);
  return { name, versions: [1], methods, firstMethodId };
}

const kv = (firstMethodId: number, methodCount: number): HelloService =>
  service("example.KV", firstMethodId, methodCount);

const wrong: readonly [string, readonly HelloService[], string][] = [
  [
    "one of 32,768",
    [kv(32_767, 2)],
    "example.KV has the method ids 32767 to 32768, and the last one there is is 32767",
  ],
  [
    "a first one of 2^32 - 1",
    [kv(2 ** 32 - 1, 1)],
    "example.KV has the method ids 4294967295 to 4294967295, and the last one there is is 32767",
  ],
  [
    "those of another service",
    [kv(5, 5), service("example.Logger", 0, 6)],
    "example.Logger and example.KV both have the method id 5",
  ],
  [
    "those of another service, all of them",
    [kv(0, 2), service("example.Logger", 0, 2)],
    "example.KV and example.Logger both have the method id 0",
  ],
  [
    "those of another service, with one of no methods between them",
    [kv(0, 9), service("example.Nothing", 3, 0), service("example.Logger", 8, 1)],
    "example.KV and example.Logger both have the method id 8",
  ],
  [
    "others where it is named again",
    [kv(0, 2), kv(1, 2)],
    "example.KV and example.KV both have the method id 1",
  ],
];

const right: readonly [string, readonly HelloService[]][] = [
  ["up to 32,767", [kv(32_766, 2)]],
  ["next to those of another", [kv(4, 2), service("example.Logger", 0, 4)]],
  ["the same ones where it is named again", [kv(0, 2), kv(0, 2)]],
  ["none, whatever the first would be", [kv(2 ** 32 - 1, 0)]],
];

describe("an answer in which a service has method ids", () => {
  test.each(wrong)("which are %s is handshake_mismatch", async (_, services, text) => {
    const error = await rejection(outcomeOf([wantedKv], answerFrame({ services })));

    expect([error.code, error.rawMessage]).toEqual([
      "handshake_mismatch",
      `the method ids of the peer (peer/1): ${text}`,
    ]);
  });

  test.each(right)("which are %s is taken", async (_, services) => {
    expect(await outcomeOf([wantedKv], answerFrame({ services }))).toMatchObject({ services });
  });
});

describe("an offer in which what the plugin may call has method ids", () => {
  const decisionOn = (offers: readonly HelloService[]) =>
    decisionOf(offerFrame([wantedKv], defaultLimits, offeredTransports, offers), [servedKv]);

  test.each(wrong)("which are %s is refused with handshake_mismatch", (_, offers, text) => {
    const decision = decisionOn(offers);

    const error = decision.wire === undefined ? decision.error : undefined;
    expect(error?.code).toBe("handshake_mismatch");
    expect(error?.rawMessage).toStartWith("the method ids of the peer (bun-plug/");
    expect(error?.rawMessage).toEndWith(`): ${text}`);
  });

  test.each(right)("which are %s is taken", (_, offers) => {
    expect(decisionOn(offers)).toMatchObject({ wire: 2, offers });
  });
});
