/**
 * Self-describing values, for streams of mixed types.
 *
 * @module
 */

import type { Reader, Writer } from "./core/bytes.js";
// What the module exports, so that the minified one can be shared.
import { bytes, f32, f64, i128, type Schema, string, u128 } from "./schema.js";

/** A struct or an enum of the sender's program, under its name. */
export class Named {
  constructor(
    /** The name of the type. */
    readonly name: string,
    /** Its fields: named, or by place, or none. */
    readonly fields?: { [name: string]: Value } | Value[],
    /** The name of the variant, of an enum. */
    readonly variant?: string,
  ) {}
}

/** An optional that is there, around what would be taken for one that is not (R-VALUE-6). */
export class Some {
  constructor(readonly value: Value) {}
}

/**
 * What a mixed stream carries. A number that is a safe integer goes as an integer, another as a
 * float; a plain object goes as a map with its keys as texts, and comes back as a `Map`. Integers
 * come back as `bigint` if a number does not hold them.
 */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Value[]
  | Map<Value, Value>
  | Named
  | Some
  | { [key: string]: Value };

const DEEPEST = 64;
const MOST_ELEMENTS = 16_384;
const INT_END = 1n << 127n;

/** R-VALUE-3 and R-VALUE-4 hold for each value as a whole. */
class Budget {
  #elements = 0;
  #depth = 0;

  /** What is in a container, with so many elements. */
  within<T>(elements: number, inside: () => T): T {
    this.#elements += elements;
    if (this.#elements > MOST_ELEMENTS) throw new RangeError("a value of too many elements");
    if (this.#depth === DEEPEST) throw new RangeError("a value that is too deep");
    this.#depth++;
    const result = inside();
    this.#depth--;
    return result;
  }
}

/** Self-describing values, for streams of mixed types: `Value` in Rust. */
export const value: Schema<Value> = {
  write: (to, value) => write(to, value, new Budget()),
  read: (from) => read(from, new Budget()),
};

function write(to: Writer, value: Value, budget: Budget): void {
  const sequence = <T>(tag: number, items: T[], each: (item: T) => void) => {
    to.byte(tag);
    budget.within(items.length, () => {
      to.number(items.length);
      for (const item of items) each(item);
    });
  };
  const item = (value: Value) => write(to, value, budget);
  if (value === null || value === undefined) to.byte(0);
  else if (typeof value === "boolean") {
    to.byte(1);
    to.byte(value ? 1 : 0);
  } else if (typeof value === "bigint" || (Number.isSafeInteger(value) && !Object.is(value, -0))) {
    writeInteger(to, BigInt(value as number | bigint));
  } else if (typeof value === "number") {
    to.byte(5);
    f64.write(to, value);
  } else if (typeof value === "string") {
    to.byte(6);
    string.write(to, value);
  } else if (value instanceof Uint8Array) {
    to.byte(7);
    bytes.write(to, value);
  } else if (Array.isArray(value)) sequence(8, value, item);
  else if (value instanceof Named) writeNamed(to, value, sequence, item, budget);
  else if (value instanceof Some) {
    to.byte(11);
    budget.within(1, () => item(value.value));
  } else if (typeof value === "object") {
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    sequence<[Value, Value]>(9, entries, ([key, value]) => {
      item(key);
      item(value);
    });
  } else throw new TypeError(`a ${typeof value} is no value`);
}

/** R-VALUE-2 */
function writeInteger(to: Writer, integer: bigint): void {
  to.byte(integer < INT_END ? 2 : 3);
  (integer < INT_END ? i128 : u128).write(to, integer);
}

function writeNamed(
  to: Writer,
  { name, variant, fields }: Named,
  sequence: <T>(tag: number, items: T[], each: (item: T) => void) => void,
  item: (value: Value) => void,
  budget: Budget,
): void {
  to.byte(10);
  string.write(to, name);
  to.byte(variant === undefined ? 0 : 1);
  if (variant !== undefined) string.write(to, variant);
  if (!fields) {
    to.byte(0);
    budget.within(0, () => {});
  } else if (Array.isArray(fields)) sequence(1, fields, item);
  else {
    sequence(2, Object.entries(fields), ([name, value]) => {
      string.write(to, name);
      item(value);
    });
  }
}

function read(from: Reader, budget: Budget): Value {
  const sequence = <T>(each: () => T): T[] => {
    const count = from.number();
    return budget.within(count, () => {
      // Room is made as items come, not for what is only claimed (R-VALUE-5).
      const items: T[] = [];
      while (items.length < count) items.push(each());
      return items;
    });
  };
  const item = () => read(from, budget);
  const tag = from.number(2 ** 32 - 1);
  switch (tag) {
    case 0:
      return null;
    case 1:
      return from.flag();
    case 2:
      return narrow(i128.read(from));
    case 3:
      return narrow(u128.read(from));
    case 4:
      return f32.read(from);
    case 5:
      return f64.read(from);
    case 6:
      return string.read(from);
    case 7:
      return bytes.read(from);
    case 8:
      return sequence(item);
    case 9:
      return new Map(sequence<[Value, Value]>(() => [item(), item()]));
    case 10: {
      const name = string.read(from);
      const variant = from.flag() ? string.read(from) : undefined;
      return new Named(name, readFields(from, sequence, item, budget), variant);
    }
    case 11:
      return budget.within(1, () => new Some(item()));
    default:
      throw new RangeError(`a value with the tag ${tag}`);
  }
}

function readFields(
  from: Reader,
  sequence: <T>(each: () => T) => T[],
  item: () => Value,
  budget: Budget,
): Named["fields"] {
  const tag = from.number();
  switch (tag) {
    case 0:
      return budget.within(0, () => undefined);
    case 1:
      return sequence(item);
    case 2:
      return Object.fromEntries(sequence((): [string, Value] => [string.read(from), item()]));
    default:
      throw new RangeError(`fields with the tag ${tag}`);
  }
}

function narrow(integer: bigint): number | bigint {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}
