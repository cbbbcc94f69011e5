import { messages } from "./codec/messages.ts";
import { encodeLarge, decodeLarge } from "./codec/gen/codec_bench_codec.ts";
const m = messages["large 64 KiB"];
const bytes = encodeLarge(m);
console.log(bytes.length, m.lines.length * 102);
const end = Bun.nanoseconds() + 4e9;
let n = 0;
const enc = process.argv[2] === "e";
while (Bun.nanoseconds() < end) {
  for (let i = 0; i < 20; i++) enc ? encodeLarge(m) : decodeLarge(bytes);
  n += 20;
}
console.log(4e9 / n);
