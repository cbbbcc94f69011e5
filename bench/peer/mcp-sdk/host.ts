// Tools of the Model Context Protocol over stdio. Bytes travel as base64 in a text.

import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import type { Subject } from "../subject.ts";

export async function open(command: readonly string[]): Promise<Subject> {
  const [path = "", ...args] = command;
  const client = new Client({ name: "bench", version: "1.0.0" });
  const transport = new StdioClientTransport({ command: path, args, stderr: "inherit" });
  await client.connect(transport);
  const call = async (name: string, input: Readonly<Record<string, string>>): Promise<string> => {
    const { content } = await client.callTool({ name, arguments: input });
    const [first] = content;
    if (first?.type !== "text") throw new Error(`${name} answered with no text`);
    return first.text;
  };
  return {
    transport: "stdio, JSON",
    pid: transport.pid ?? undefined,
    get: async (key) => Uint8Array.fromBase64(await call("get", { key })),
    put: (key, value) => call("put", { key, value: value.toBase64() }),
    echo: async (data) => Uint8Array.fromBase64(await call("echo", { data: data.toBase64() })),
    [Symbol.asyncDispose]: () => client.close(),
  };
}
