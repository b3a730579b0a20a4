import type { Closed } from "./core/connection.js";
import type { FaultCode, RejectCode } from "./core/frames.js";

/**
 * What happened.
 *
 * | kind | what happened | what to do |
 * |---|---|---|
 * | `app` | the other side's own, typed error, in `value` | whatever it means |
 * | `failed` | the other side failed, and tells no detail | report it |
 * | `rejected` | the server refused the call, see `code` | `Busy` and `Unavailable` are worth another try |
 * | `lost` | no connection, or it was lost, see `reason`: something may be missing | call again, if the call may run twice |
 * | `cancelled` | the sender was gone before it finished | treat what came as incomplete |
 * | `revoked` | the right to the stream was taken back | sign in again |
 * | `decode` | what came is not of the schema | update one of the two sides |
 * | `encode` | what was to be sent is not of the schema | mend it; nothing was sent |
 * | `stopped` | the receiver wants no more of this stream, or the call is over | stop sending |
 * | `too-large` | the receiver takes no message of this size | send less at a time; the stream goes on |
 */
export type ErrorKind =
  | "app"
  | "failed"
  | "rejected"
  | "lost"
  | "cancelled"
  | "revoked"
  | "decode"
  | "encode"
  | "stopped"
  | "too-large";

/** Why there is no connection. */
export type LostReason = Closed["reason"] | "unreachable" | "no-answer" | "subprotocol" | "token";

interface About<E> {
  value?: E;
  code?: RejectCode;
  reason?: LostReason;
  cause?: unknown;
}

/** What a call, a stream or a `write` fails with. */
export class StreamError<E = unknown> extends Error {
  override readonly name = "StreamError";
  /** The other side's own error, of kind `app`. */
  readonly value: E | undefined;
  /** Why the call was refused, of kind `rejected`. */
  readonly code: RejectCode | undefined;
  /** Why there is no connection, of kind `lost`. */
  readonly reason: LostReason | undefined;

  constructor(
    readonly kind: ErrorKind,
    message: string,
    { value, code, reason, cause }: About<E> = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.value = value;
    this.code = code;
    this.reason = reason;
  }

  /** An error of the application's own: thrown by what feeds a stream, it arrives typed. */
  static app<E>(value: E): StreamError<E> {
    return new StreamError("app", "the application's own error", { value });
  }

  /**
   * Whether the same call may succeed when it is made again. That says nothing about whether the
   * first one had an effect.
   */
  get isRetryable(): boolean {
    if (this.kind === "rejected") return this.code === "Busy" || this.code === "Unavailable";
    return this.kind === "lost" && !FINAL.includes(this.reason as LostReason);
  }
}

/** They would come about again. */
const FINAL: LostReason[] = [
  "version",
  "version-refused",
  "violation",
  "accused",
  "subprotocol",
  "token",
];

const CLOSED = "the connection was closed";
const SHUT_DOWN = "the server was shut down";
const VERSION = "the server speaks another version";
const SILENT = "the connection was lost: the server was silent for too long";

const WORDS: Record<Closed["reason"], string> = {
  local: CLOSED,
  idle: CLOSED,
  peer: "the server closed the connection",
  drained: SHUT_DOWN,
  "drain-expired": SHUT_DOWN,
  violation: "the server broke the protocol",
  accused: "the server says that this client broke the protocol",
  version: VERSION,
  "version-refused": VERSION,
  "handshake-timeout": SILENT,
  "message-timeout": SILENT,
  timeout: SILENT,
  "peer-timeout": SILENT,
  stalled: SILENT,
  eof: "the connection was lost",
};

/** What the calls on a connection that is over fail with. */
export function lost({ reason, detail }: Closed): StreamError<never> {
  return new StreamError("lost", WORDS[reason] + (detail ? ` (${detail})` : ""), { reason });
}

export function rejected(code: RejectCode, detail: string): StreamError<never> {
  const message = `the call was rejected: ${code}${detail ? ` (${detail})` : ""}`;
  return new StreamError("rejected", message, { code });
}

/** What is thrown where something is not of its schema. */
export function misfit(
  kind: "decode" | "encode",
  what: string,
  cause: unknown,
): StreamError<never> {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new StreamError(kind, `${what} does not ${kind}: ${detail}`, { cause });
}

const FAULTS: Record<FaultCode, [ErrorKind, string]> = {
  Failed: ["failed", "the other side failed"],
  App: ["failed", "the other side failed, with an error that is not known here"],
  Cancelled: ["cancelled", "the stream was cancelled"],
  Revoked: ["revoked", "the right to the stream was revoked"],
};

export function fault(code: FaultCode): StreamError<never> {
  return new StreamError(...FAULTS[code]);
}
