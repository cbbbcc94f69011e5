// The same question over the channel of `Bun.spawn`: prints a line of JSON.
//
//   bun bench/peer/ipc.ts SECONDS

import { measure } from "./measure.ts";

interface Question {
  readonly id: number;
  readonly key: string;
}
interface Answer {
  readonly id: number;
  readonly value: Uint8Array;
}

if (process.send === undefined) await host();
else plugin();

async function host(): Promise<void> {
  const waiting = new Map<number, (value: Uint8Array) => void>();
  let lastId = 0;
  const child = Bun.spawn([process.execPath, import.meta.path], {
    stdio: ["ignore", "inherit", "inherit"],
    serialization: "advanced",
    ipc({ id, value }: Answer) {
      const resolve = waiting.get(id);
      waiting.delete(id);
      resolve?.(value);
    },
  });
  const get = (key: string): Promise<Uint8Array> =>
    new Promise((resolve) => {
      const id = ++lastId;
      waiting.set(id, resolve);
      child.send({ id, key } satisfies Question);
    });
  console.log(JSON.stringify(await measure(() => get("colour"), Number(process.argv[2]))));
  child.kill();
}

function plugin(): void {
  const values = new Map([["colour", new TextEncoder().encode("0123456789abcdef")]]);
  process.on("message", ({ id, key }: Question) => {
    process.send?.({ id, value: values.get(key) });
  });
}
