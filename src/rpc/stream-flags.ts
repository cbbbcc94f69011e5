// The kinds of rpc, as they go on the wire: who sends a stream of messages.

import { FrameFlag } from "../frame/frame-header.ts";
import type { Method } from "./service.ts";

export const streamFlags: Readonly<Record<Method<never>["kind"], number>> = {
  unary: 0,
  server_streaming: FrameFlag.ServerStreams,
  client_streaming: FrameFlag.ClientStreams,
  bidi_streaming: FrameFlag.ClientStreams | FrameFlag.ServerStreams,
};
