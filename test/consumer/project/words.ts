import { PlugError } from "bun-plug/plugin";

import type { WordsHandler } from "./gen/words_plug.ts";

export class WordCounter implements WordsHandler {
  readonly #counts = new Map<string, number>();

  count(text: string): number {
    for (const word of text.split(" ")) this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
    return this.#counts.size;
  }

  async withCount(count: number): Promise<string> {
    for (const [word, times] of this.#counts) {
      if (times === count) return word;
    }
    throw new PlugError("not_found", `no word under ${count}`);
  }
}
