// Many loads. More of them: bun test/soak/loads.ts

import { expect, test } from "bun:test";

import { loads } from "../soak/loads.ts";

test("60 loads and closes leave no descriptor, process, file or memory behind", async () => {
  expect((await loads(60)).left).toEqual([]);
}, 30_000);
