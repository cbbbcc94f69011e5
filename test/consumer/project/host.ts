import { isPlugError } from "bun-plug";

import { loadWords } from "./gen/words_plug.ts";

await using words = await loadWords(process.argv[2] ?? "./plugin.ts");
const count = await words.count("a b c a");
try {
  await words.withCount(7);
} catch (error) {
  if (!isPlugError(error)) throw error;
  console.log(`${count} words; least common: ${error.message}`);
}
