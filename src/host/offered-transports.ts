// What the host has made for a plugin to choose from, and what becomes of the rest.

import { closeSync } from "node:fs";

import type { HelloTransport } from "../handshake/hello.ts";
import { PlugError } from "../error/plug-error.ts";
import { memoryFdInChild, socketFdInChild } from "../process/child.ts";
import { createSharedMemory, type SharedMemory } from "../process/shared-memory.ts";
import { ringMemoryBytes } from "../transport/ring-memory.ts";
import { RingTransport } from "../transport/ring-transport.ts";
import { socketTransport } from "../transport/socket-transport.ts";
import type { Transport } from "../transport/transport.ts";

/** Those that can be asked for by name, best first. */
export const transportNames = ["ring", "socket", "stdio"] as const;
export type TransportName = (typeof transportNames)[number];

export class OfferedTransports {
  /** For the handshake, best first. */
  readonly hello: readonly HelloTransport[];
  readonly #poll: boolean;
  #memory: SharedMemory | undefined;
  #socketFd: number | undefined;

  /**
   * @throws {PlugError} `handshake_mismatch`: the one that is forced cannot be made here.
   */
  constructor(forced: TransportName | undefined, poll: boolean) {
    this.#poll = poll;
    if (forced === undefined || forced === "ring") {
      this.#memory = createSharedMemory(ringMemoryBytes);
      if (forced === "ring" && this.#memory === undefined) {
        throw unavailable("ring", "this system gives no shared memory");
      }
    }
    const made: Record<TransportName, HelloTransport | undefined> = {
      ring: this.#memory && { kind: "ring", fds: [socketFdInChild, memoryFdInChild] },
      socket: { kind: "socket", fds: [socketFdInChild] },
      stdio: { kind: "stdio", fds: [] },
    };
    const names = forced === undefined ? transportNames : [forced];
    this.hello = names.map((name) => made[name]).filter((one) => one !== undefined);
  }

  get hasSocket(): boolean {
    return this.hello.some(({ fds }) => fds.includes(socketFdInChild));
  }

  get memoryFd(): number | undefined {
    return this.#memory?.fd;
  }

  /** The child has its ends. `socketFd` is the host's end of the socket, if there is one. */
  started(socketFd: number | undefined): void {
    this.#socketFd = socketFd;
    if (this.#memory !== undefined) closeSync(this.#memory.fd);
  }

  /**
   * The one that the plugin chose, or undefined for stdio; the rest is given back.
   *
   * @throws {PlugError} `handshake_mismatch`: it was not offered.
   */
  take(kind: string): Transport | undefined {
    if (!this.hello.some((offered) => offered.kind === kind)) {
      const names = this.hello.map((offered) => offered.kind).join(" or ");
      throw unavailable(names, `the plugin chose ${kind}`);
    }
    const socketFd = this.#socketFd;
    if (kind === "stdio" || socketFd === undefined) {
      this.close();
      return undefined;
    }
    this.#socketFd = undefined; // the transport's from here on
    if (kind === "socket") return socketTransport(socketFd);
    const memory = (this.#memory as SharedMemory).bytes;
    return new RingTransport({ memory, side: "host", socketFd, poll: this.#poll });
  }

  /** For a plugin that knows none of them. @throws {PlugError} `handshake_mismatch` if one is forced. */
  takeStdio(why: string): void {
    if (!this.hello.some(({ kind }) => kind === "stdio")) {
      throw unavailable((this.hello[0] as HelloTransport).kind, why);
    }
    this.close();
  }

  /** Gives back what nobody has taken. */
  close(): void {
    if (this.#socketFd !== undefined) closeSync(this.#socketFd);
    this.#socketFd = undefined;
    this.#memory = undefined;
  }

  /** The child was not started. */
  abandon(): void {
    if (this.#memory !== undefined) closeSync(this.#memory.fd);
    this.#memory = undefined;
  }
}

function unavailable(kind: string, why: string): PlugError {
  return new PlugError("handshake_mismatch", `transport "${kind}" cannot be had: ${why}`);
}
