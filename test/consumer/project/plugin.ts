import { runWords } from "./gen/words_plug.ts";
import { WordCounter } from "./words.ts";

await runWords(new WordCounter());
