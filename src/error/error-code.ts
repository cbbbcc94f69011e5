// Every way in which a call or a plugin can fail, in one table.
//
// Leaf: imports nothing. The table of codes in the README is made from this object.

/** Whether trying again makes sense, and on what. */
export type Retry = "never" | "same_process" | "new_process";

export interface ErrorCodeInfo {
  /** Whether a caller may try again, and whether it needs a fresh plugin for it. */
  readonly retry: Retry;
  /** Who may raise it: `anyone` (handlers too), or the `runtime` alone. */
  readonly raisedBy: "anyone" | "runtime";
  /** The gRPC status code that it maps to. */
  readonly grpc: number;
  /** One line for the README. */
  readonly means: string;
}

/**
 * The closed list of codes: plugins cannot add to it, so callers can switch over it.
 *
 * The names are on the wire and in logs; never rename one. The first sixteen are gRPC's, and
 * handlers may throw them; the others are raised by the runtime alone, and a handler that throws
 * one of them is reported as `unknown`.
 */
export const errorCodes = {
  cancelled: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 1,
    means:
      "the caller gave the call up, or the host closed the plugin; the work may or may not have been done",
  },
  unknown: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 2,
    means: "the handler threw something that is not a `PlugError`",
  },
  invalid_argument: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 3,
    means: "an argument, an option or a message that cannot be encoded is wrong",
  },
  deadline_exceeded: {
    retry: "same_process",
    raisedBy: "anyone",
    grpc: 4,
    means: "`timeoutMs` passed without an answer; the work may still finish",
  },
  not_found: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 5,
    means: "what was asked for is not there",
  },
  already_exists: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 6,
    means: "what was to be made is there already",
  },
  permission_denied: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 7,
    means: "the caller may not do this",
  },
  resource_exhausted: {
    retry: "same_process",
    raisedBy: "anyone",
    grpc: 8,
    means: "a limit was hit; the message names it, with both numbers",
  },
  failed_precondition: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 9,
    means: "the system is not in the state that the call needs",
  },
  aborted: {
    retry: "same_process",
    raisedBy: "anyone",
    grpc: 10,
    means: "a conflict with other work",
  },
  out_of_range: { retry: "never", raisedBy: "anyone", grpc: 11, means: "past the valid range" },
  unimplemented: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 12,
    means: "the plugin does not have this service or method",
  },
  internal: { retry: "never", raisedBy: "anyone", grpc: 13, means: "something is broken inside" },
  unavailable: {
    retry: "same_process",
    raisedBy: "anyone",
    grpc: 14,
    means: "not possible just now; also a handle that was closed",
  },
  data_loss: { retry: "never", raisedBy: "anyone", grpc: 15, means: "data is lost or damaged" },
  unauthenticated: {
    retry: "never",
    raisedBy: "anyone",
    grpc: 16,
    means: "the caller is not known",
  },
  plugin_exited: {
    retry: "new_process",
    raisedBy: "runtime",
    grpc: 14,
    means: "the process ended before it answered; the message says how, with its last words",
  },
  start_failed: {
    retry: "never",
    raisedBy: "runtime",
    grpc: 9,
    means: "the program could not be started",
  },
  not_a_plugin: {
    retry: "never",
    raisedBy: "runtime",
    grpc: 9,
    means: "the program started but did not speak the protocol",
  },
  handshake_mismatch: {
    retry: "never",
    raisedBy: "runtime",
    grpc: 9,
    means: "both speak the protocol, but not the same service, magic or version",
  },
  protocol_error: {
    retry: "new_process",
    raisedBy: "runtime",
    grpc: 13,
    means: "the peer broke the wire format; the connection is closed",
  },
  draining: {
    retry: "new_process",
    raisedBy: "runtime",
    grpc: 14,
    means: "the plugin finishes what runs and takes nothing new; the call was not started",
  },
} as const satisfies Record<string, ErrorCodeInfo>;

export type ErrorCode = keyof typeof errorCodes;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCodes, text);
}

/** The code for a status number of gRPC, `unknown` for one that gRPC does not have. */
export function codeFromGrpc(status: number): ErrorCode {
  // Not as a map: making it took longer than all other modules of a plugin that starts.
  for (const [code, { grpc, raisedBy }] of Object.entries(errorCodes)) {
    if (grpc === status && raisedBy === "anyone") return code as ErrorCode;
  }
  return "unknown";
}

/** What Connect calls a code, such as `"canceled"`; those of the runtime alone as gRPC has them. */
export function connectCode(code: ErrorCode): string {
  const name = codeFromGrpc(errorCodes[code].grpc);
  return name === "cancelled" ? "canceled" : name;
}

/** The code for one of Connect's names, `unknown` for what is none of them. */
export function codeFromConnect(name: string): ErrorCode {
  const code = name === "canceled" ? "cancelled" : name;
  return isErrorCode(code) && errorCodes[code].raisedBy === "anyone" ? code : "unknown";
}
