import { McpServer } from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";

import { newStore } from "../store.ts";

const store = newStore();
const server = new McpServer({ name: "bench", version: "1.0.0" });

function text(value: string) {
  return { content: [{ type: "text" as const, text: value }] };
}

server.registerTool("get", { inputSchema: z.object({ key: z.string() }) }, async ({ key }) =>
  text((await store.get(key)).toBase64()),
);
server.registerTool(
  "put",
  { inputSchema: z.object({ key: z.string(), value: z.string() }) },
  ({ key, value }) => {
    store.put(key, Uint8Array.fromBase64(value));
    return text("");
  },
);
server.registerTool("echo", { inputSchema: z.object({ data: z.string() }) }, ({ data }) =>
  text(Uint8Array.fromBase64(data).toBase64()),
);
await server.connect(new StdioServerTransport());
