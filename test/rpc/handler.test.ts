import { describe, expect, test } from "bun:test";

import { checkHandler } from "../../src/rpc/handler.ts";
import type { Service } from "../../src/rpc/service.ts";
import { thrown } from "../support/rejection.ts";
import { textService } from "../support/text-service.ts";

const echoService = textService("test.Echo", "Say", "Shout");

function served(service: object, handler: object) {
  return { service: service as Service<object, object>, handler };
}

describe("checkHandler", () => {
  test("takes an object and an instance with every method of the service", () => {
    class Handler {
      say(): void {}
      shout(): void {}
    }
    const check = (handler: object): void => checkHandler(served(echoService, handler));

    expect(() => check(new Handler())).not.toThrow();
    expect(() => check({ say() {}, shout: () => {}, more: 1 })).not.toThrow();
  });

  test("throws invalid_argument and names every method that is missing", () => {
    const error = thrown(() => checkHandler(served(echoService, { say: "not a function" })));

    expect(error.message).toBe("[invalid_argument] the handler of test.Echo lacks say(), shout()");
  });
});
