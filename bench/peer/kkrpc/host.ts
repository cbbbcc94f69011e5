// kkrpc over stdio, with its default way to write values, which knows bytes.

import { NodeIo, RPCChannel } from "kkrpc";
import { spawn } from "node:child_process";

import type { Subject } from "../subject.ts";
import type { Api } from "./plugin.ts";

export async function open(command: readonly string[]): Promise<Subject> {
  const [path = "", ...args] = command;
  const child = spawn(path, args, { stdio: ["pipe", "pipe", "inherit"] });
  const channel = new RPCChannel<object, Api>(new NodeIo(child.stdout, child.stdin));
  const api = channel.getAPI();
  return {
    transport: "stdio, superjson",
    pid: child.pid,
    get: (key) => api.get(key),
    put: (key, value) => api.put(key, value),
    echo: (data) => api.echo(data),
    async [Symbol.asyncDispose]() {
      child.kill();
    },
  };
}
