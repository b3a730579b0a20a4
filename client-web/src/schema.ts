import { Reader, times, Writer } from "./core/bytes.js";

/** How a type lies in bytes: what Rust's serde and postcard make of it. */
export interface Schema<T> {
  write(to: Writer, value: T): void;
  read(from: Reader): T;
}

/** The JavaScript type of what a schema describes. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

// biome-ignore lint/suspicious/noExplicitAny: a schema of whatever type
export type AnySchema = Schema<any>;

/** A value as bytes. */
export function encode<T>(schema: Schema<T>, value: T): Uint8Array<ArrayBuffer> {
  const to = new Writer();
  schema.write(to, value);
  return to.take();
}

/** The value that bytes are, all of them. */
export function decode<T>(schema: Schema<T>, bytes: Uint8Array): T {
  const from = new Reader(bytes);
  const value = schema.read(from);
  from.end();
  return value;
}

function wrong(due: string): never {
  throw new TypeError(`${due} is due`);
}

function integer(bits: 8 | 16 | 32, isSigned: boolean): Schema<number> {
  const least = isSigned ? -(2 ** (bits - 1)) : 0;
  const most = least + 2 ** bits - 1;
  return plain(
    `an integer from ${least} to ${most}`,
    (value) => Number.isInteger(value) && value >= least && value <= most,
    (to, value) => {
      if (bits === 8) to.byte(value & 255);
      else to.number(isSigned ? zigzag(value) : value);
    },
    (from) => {
      if (bits === 8) return isSigned ? (from.byte() << 24) >> 24 : from.byte();
      const number = from.number(2 ** bits - 1);
      return isSigned ? unzigzag(number) : number;
    },
  );
}

function zigzag(number: number): number {
  return number < 0 ? -2 * number - 1 : 2 * number;
}

function unzigzag(number: number): number {
  return number % 2 ? -(number + 1) / 2 : number / 2;
}

export function bigZigzag(number: bigint): bigint {
  return number < 0n ? -2n * number - 1n : 2n * number;
}

export function bigUnzigzag(number: bigint): bigint {
  return number & 1n ? -(number + 1n) / 2n : number / 2n;
}

function bigInteger(bits: 64 | 128, isSigned: boolean): Schema<bigint> {
  const least = isSigned ? -(1n << BigInt(bits - 1)) : 0n;
  const most = least + (1n << BigInt(bits)) - 1n;
  return plain(
    `a bigint from ${least} to ${most}`,
    (value) => typeof value === "bigint" && value >= least && value <= most,
    (to, value) => to.big(isSigned ? bigZigzag(value) : value),
    (from) => (isSigned ? bigUnzigzag(from.big(bits)) : from.big(bits)),
  );
}

export const u8 = integer(8, false);
export const u16 = integer(16, false);
export const u32 = integer(32, false);
export const i8 = integer(8, true);
export const i16 = integer(16, true);
export const i32 = integer(32, true);
/** A `bigint`: a number does not count so far. `usize` is a `u64` too. */
export const u64 = bigInteger(64, false);
export const i64 = bigInteger(64, true);
export const u128 = bigInteger(128, false);
export const i128 = bigInteger(128, true);

function float(bits: 32 | 64): Schema<number> {
  return plain(
    "a number",
    (value) => typeof value === "number",
    (to, value) => to.view(bits / 8)[`setFloat${bits}`](0, value, true),
    (from) => from.view(bits / 8)[`getFloat${bits}`](0, true),
  );
}

export const f32 = float(32);
export const f64 = float(64);

function plain<T>(
  due: string,
  fits: (value: T) => boolean,
  write: (to: Writer, value: T) => void,
  read: (from: Reader) => T,
): Schema<T> {
  return {
    write: (to, value) => write(to, fits(value) ? value : wrong(due)),
    read,
  };
}

export const bool = plain<boolean>(
  "a boolean",
  (value) => typeof value === "boolean",
  (to, value) => to.byte(Number(value)),
  (from) => from.flag(),
);

export const string = plain<string>(
  "a string",
  (value) => typeof value === "string",
  (to, value) => to.text(value),
  (from) => from.text(),
);

const isChar = (value: string) => typeof value === "string" && [...value].length === 1;

/** A string of one character. */
export const char = plain<string>(
  "a string of one character",
  isChar,
  (to, value) => to.text(value),
  (from) => {
    const text = from.text();
    return isChar(text) ? text : from.fail("a character that is none");
  },
);

/** `Vec<u8>`, and whatever serde has as bytes. */
export const bytes = plain<Uint8Array>(
  "a Uint8Array",
  (value) => value instanceof Uint8Array,
  (to, value) => to.bytes(value),
  (from) => from.bytes().slice(),
);

/** `()`, and a struct without fields: no bytes. */
export const unit: Schema<undefined> = {
  write() {},
  read: () => undefined,
};

/** `Option<T>`: nothing is `undefined`; `null` is taken for it too. */
export function option<T>(schema: Schema<T>): Schema<T | undefined> {
  return {
    write(to, value) {
      to.byte(value === undefined || value === null ? 0 : 1);
      if (value !== undefined && value !== null) schema.write(to, value);
    },
    read: (from) => (from.flag() ? schema.read(from) : undefined),
  };
}

/** A tuple, or a struct of more than one field without names. */
export function tuple<const S extends readonly AnySchema[]>(...schemas: S): Schema<Tuple<S>> {
  return {
    write(to, value) {
      if (value?.length !== schemas.length) wrong(`an array of ${schemas.length}`);
      schemas.forEach((schema, place) => {
        schema.write(to, value[place]);
      });
    },
    read: (from) => schemas.map((schema) => schema.read(from)) as Tuple<S>,
  };
}

export type Tuple<S extends readonly AnySchema[]> = { -readonly [K in keyof S]: Infer<S[K]> };

/** `[T; length]`. */
export function array<T>(schema: Schema<T>, length: number): Schema<T[]> {
  return tuple(...Array.from({ length }, () => schema)) as Schema<T[]>;
}

/** How many there are. More than there are bytes can only be of what takes none. */
export function readCount(from: Reader): number {
  const count = from.number();
  from.spare -= Math.max(0, count - from.left);
  if (from.spare < 0) from.fail("more items than there are bytes");
  return count;
}

const DEEPEST = 128;

/** `Vec<T>`, or a set. */
export function list<T>(schema: Schema<T>): Schema<T[]> {
  return {
    write(to, value) {
      if (!Array.isArray(value)) wrong("an array");
      to.number(value.length);
      for (const item of value) schema.write(to, item);
    },
    read: (from) => times(readCount(from), () => schema.read(from)),
  };
}

/** A map. */
export function map<K, V>(key: Schema<K>, value: Schema<V>): Schema<Map<K, V>> {
  return {
    write(to, entries) {
      if (!(entries instanceof Map)) wrong("a Map");
      to.number(entries.size);
      for (const [k, v] of entries) {
        key.write(to, k);
        value.write(to, v);
      }
    },
    read(from) {
      const entries = new Map<K, V>();
      for (let count = readCount(from); count > 0; count--)
        entries.set(key.read(from), value.read(from));
      return entries;
    },
  };
}

/** A struct with named fields, in the order in which Rust declares them. */
export function struct<const F extends Record<string, AnySchema>>(fields: F): Schema<Struct<F>> {
  const entries = Object.entries(fields);
  return {
    write(to, value) {
      if (typeof value !== "object" || value === null) wrong("an object");
      for (const [name, schema] of entries) schema.write(to, value[name as keyof Struct<F>]);
    },
    read: (from) =>
      Object.fromEntries(entries.map(([name, schema]) => [name, schema.read(from)])) as Struct<F>,
  };
}

type Optional<F extends Record<string, AnySchema>> = {
  [K in keyof F]: undefined extends Infer<F[K]> ? K : never;
}[keyof F];

/** What may be `undefined` may be left out. */
export type Struct<F extends Record<string, AnySchema>> = {
  -readonly [K in Exclude<keyof F, Optional<F>>]: Infer<F[K]>;
} & { -readonly [K in Optional<F>]?: Infer<F[K]> };

/**
 * An enum, its variants in the order in which Rust declares them: `{ type: "Circle", value: 7 }`.
 * A variant without content has no `value`.
 */
export function variants<const V extends Record<string, AnySchema>>(of: V): Schema<Variant<V>> {
  const names = Object.keys(of);
  return {
    write(to, value) {
      const place = names.indexOf(value?.type as string);
      if (place < 0) wrong(`one of the types ${names.join(", ")}`);
      to.number(place);
      (of[value.type] as AnySchema).write(to, (value as { value?: unknown }).value);
    },
    read(from) {
      const type = names[from.number()];
      if (type === undefined) throw new RangeError("a variant that there is not");
      const value = (of[type] as AnySchema).read(from);
      return (value === undefined ? { type } : { type, value }) as Variant<V>;
    },
  };
}

export type Variant<V extends Record<string, AnySchema>> = {
  [K in keyof V]: undefined extends Infer<V[K]>
    ? { type: K; value?: Infer<V[K]> }
    : { type: K; value: Infer<V[K]> };
}[keyof V];

/** An enum of variants without content: a string. */
export function choice<const N extends readonly string[]>(...names: N): Schema<N[number]> {
  return {
    write(to, value) {
      const place = names.indexOf(value);
      if (place < 0) wrong(`one of ${names.join(", ")}`);
      to.number(place);
    },
    read(from) {
      const name = names[from.number()];
      if (name === undefined) throw new RangeError("a variant that there is not");
      return name;
    },
  };
}

/** `Result<T, E>` within a value. */
export function result<T, E>(ok: Schema<T>, err: Schema<E>) {
  return variants({ Ok: ok, Err: err });
}

/** A type that holds itself. */
export function lazy<T>(schema: () => Schema<T>): Schema<T> {
  return {
    write: (to, value) => schema().write(to, value),
    read(from) {
      if (++from.depth > DEEPEST) from.fail("too deep");
      const value = schema().read(from);
      from.depth--;
      return value;
    },
  };
}
