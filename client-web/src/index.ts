/**
 * Typed two-way streams with a Wirestream server, many calls at once over one WebSocket.
 *
 * @module
 */

export {
  Client,
  type ClientOptions,
  connect,
  type RetryPolicy,
  type Status,
  type TokenProvider,
} from "./client.js";
export {
  type CallOptions,
  type Endpoint,
  type ErrorOf,
  endpoint,
  type Method,
  type Reply,
  type ResultOf,
  type Source,
  type StreamSpec,
  type Streams,
  stream,
} from "./contract.js";
export type { RejectCode } from "./core/frames.js";
export type { Limits } from "./core/limits.js";
export { type ErrorKind, type LostReason, StreamError } from "./errors.js";
export {
  array,
  bool,
  bytes,
  char,
  choice,
  decode,
  encode,
  f32,
  f64,
  type Infer,
  i8,
  i16,
  i32,
  i64,
  i128,
  lazy,
  list,
  map,
  option,
  result,
  type Schema,
  string,
  struct,
  tuple,
  u8,
  u16,
  u32,
  u64,
  u128,
  unit,
  variants,
} from "./schema.js";
export { channel, type Sender } from "./sender.js";
