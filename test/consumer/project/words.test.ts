import { expect, test } from "bun:test";

import { testWords } from "./gen/words_plug.ts";
import { WordCounter } from "./words.ts";

test("counts words", async () => {
  await using words = await testWords(new WordCounter());
  expect(await words.count("a b a")).toBe(2);
  expect(await words.withCount(2)).toBe("a");
});
