// node:fs, for whoever may never come to need it: loading it takes 1 ms of a plugin's start.

import type * as Fs from "node:fs";

let loaded: typeof Fs | undefined;

export function nodeFs(): typeof Fs {
  return (loaded ??= require("node:fs") as typeof Fs);
}
