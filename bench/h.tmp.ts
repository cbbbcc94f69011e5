import { messages } from "./codec/messages.ts";
import * as c from "./codec/gen/codec_bench_codec.ts";
export let sink: any;
function time(name: string, f: (i: number) => any, n = 3e5) {
  let best = 1e9;
  for (let k = 0; k < 25; k++) {
    const t = Bun.nanoseconds();
    let s;
    for (let i = 0; i < n; i++) s = f(i);
    sink = s;
    const d = (Bun.nanoseconds() - t) / n;
    if (d < best) best = d;
  }
  console.log(name.padEnd(30), best.toFixed(1));
}
const b = new Uint8Array(70000);
const rows: any = {
  key: ["Key", messages.key],
  v16: ["Value", messages["value 16 B"]],
  v1k: ["Value", messages["value 1 KiB"]],
  record: ["Record", messages.record],
  own: ["Test", messages["protobufjs' own"]],
};
for (const [k, [n, m]] of Object.entries<any>(rows)) {
  const e = (c as any)["encode" + n],
    d = (c as any)["decode" + n],
    codec = (c as any)[n + "Codec"];
  const bytes = e(m);
  time(k + " encode", () => e(m));
  time(k + " size", () => codec.size(m));
  time(k + " size+write", () => {
    codec.size(m);
    return codec.write(m, b, 3);
  });
  time(k + " decode", () => d(bytes));
  time(k + " decode owned", () => codec.read(bytes, 0, bytes.length, true));
}
