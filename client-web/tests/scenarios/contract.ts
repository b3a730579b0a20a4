import {
  bool,
  bytes,
  char,
  endpoint,
  f32,
  f64,
  type Infer,
  i8,
  i64,
  i128,
  list,
  map,
  option,
  stream,
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
} from "../../src/index.js";
import { value } from "../../src/value.js";

/** What the scenario server has to call. */

export const Problem = variants({ Said: string, Number: struct({ is: u64 }) });

export const Shape = variants({
  Empty: unit,
  Circle: u32,
  Box: struct({ width: u8, name: option(string) }),
});

export const All = struct({
  small: i8,
  number: i64,
  large: u128,
  least: i128,
  float: f64,
  single: f32,
  text: string,
  letter: char,
  maybe: option(u16),
  nothing: option(u16),
  list: list(list(u16)),
  set: list(u32),
  pair: tuple(bool, string),
  map: map(string, u64),
  shapes: list(Shape),
  bytes,
});

/** One of all. */
export const EVERYTHING: Infer<typeof All> = {
  small: -128,
  number: -(2n ** 63n),
  large: 2n ** 128n - 1n,
  least: -(2n ** 127n),
  float: Number.NEGATIVE_INFINITY,
  single: 1.5,
  text: "Grüße 🙂",
  letter: "🙂",
  maybe: 300,
  list: [[], [1, 65_535]],
  set: [1, 2, 4_294_967_295],
  pair: [true, ""],
  map: new Map([
    ["a", 1n],
    ["b", 2n ** 64n - 1n],
  ]),
  shapes: [
    { type: "Empty" as const },
    { type: "Circle" as const, value: 7 },
    { type: "Box" as const, value: { width: 3, name: "box" } },
    { type: "Box" as const, value: { width: 255 } },
  ],
  bytes: Uint8Array.of(0, 222, 173),
};

const SIXTEEN = "abcdefghijklmnop";

export const Shapes = endpoint("Shapes", {
  count: { args: [u64], yields: u64 },
  add: { args: [i64, i64], returns: i64 },
  mirror: { args: [All], returns: All },
  echo: { streams: { messages: string }, yields: string },
  numbers: { streams: { messages: u64 }, yields: u64 },
  mixed: { streams: { messages: value }, yields: value },
  blobs: { streams: { messages: bytes }, yields: bytes },
  sum: { streams: { numbers: i64 }, returns: i64, error: Problem },
  first: { streams: { numbers: u64 }, returns: u64, error: Problem },
  finish: { streams: { numbers: u64 } },
  none: { returns: option(u64) },
  both: { streams: { numbers: u64, texts: string }, yields: string },
  sixteen: {
    streams: Object.fromEntries([...SIXTEEN].map((name) => [name, u32])),
    yields: tuple(u8, u32),
  },
  times: { args: [i64], streams: { numbers: i64 }, yields: i64 },
  optional: {
    args: [u8],
    streams: {
      left: u8,
      right: stream(u8, { optional: true }),
      also: stream(u8, { optional: true }),
    },
    returns: tuple(u8, bool, bool),
  },
  counts: { returns: tuple(u64, u64) },
  missing: { returns: u8 },
});

/** The same methods, as somebody has them who is mistaken. */
export const Mistaken = endpoint("Shapes", {
  add: { args: [u8], returns: i64 },
  sum: { returns: i64 },
  echo: { streams: { messages: string, more: string }, yields: string },
});

export const Nowhere = endpoint("Nowhere", { add: { returns: u8 } });

export const Ends = endpoint("Ends", {
  endless: { yields: u64 },
  never: { yields: u64 },
  deaf: { streams: { input: u64 }, yields: u64 },
  told: { streams: { input: stream(u64, { error: Problem }) }, yields: string },
  slow: { yields: u64 },
  ignore: { streams: { input: u64 }, returns: u8 },
  lines: { args: [u64], yields: string },
});

/** `told` with an input whose messages are no numbers there. */
export const Garbled = endpoint("Ends", {
  told: { streams: { input: bytes }, yields: string },
});

export const Errors = endpoint("Errors", {
  typed: { returns: u8, error: Problem },
  untyped: { returns: u8 },
  panics: { args: [u8], returns: u8 },
  after: { args: [u64], yields: u64, error: Problem },
  falls: { args: [u64], yields: u64 },
  answer: {
    streams: { input: stream(value, { error: Problem }) },
    yields: value,
    error: Problem,
  },
  huge: { returns: u8, error: Problem },
  wrong: { yields: string },
});

export const Vault = endpoint("Vault", {
  who: { returns: option(string) },
  mine: { returns: option(string) },
  rule: { returns: option(string) },
});
