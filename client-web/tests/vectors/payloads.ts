import badPayloads from "../../../spec/vectors/bad-payloads.json" with { type: "json" };
import payloads from "../../../spec/vectors/payloads.json" with { type: "json" };
import * as s from "../../src/schema.js";
import { type Case, check, hex, hexOf, same } from "../assert.js";

/** A type of the vectors: its schema, and what JavaScript has for a value in JSON. */
interface Type {
  schema: s.AnySchema;
  of: (json: never) => unknown;
}

const same_ = (json: never): unknown => json;
const point = s.struct({ x: s.i32, y: s.i32 });

const NAMED: Record<string, Type> = {
  bool: { schema: s.bool, of: same_ },
  u8: { schema: s.u8, of: same_ },
  u16: { schema: s.u16, of: same_ },
  u32: { schema: s.u32, of: same_ },
  i8: { schema: s.i8, of: same_ },
  i16: { schema: s.i16, of: same_ },
  i32: { schema: s.i32, of: same_ },
  u64: { schema: s.u64, of: BigInt },
  i64: { schema: s.i64, of: BigInt },
  u128: { schema: s.u128, of: BigInt },
  i128: { schema: s.i128, of: BigInt },
  usize: { schema: s.u64, of: BigInt },
  isize: { schema: s.i64, of: BigInt },
  f32: { schema: s.f32, of: Number },
  f64: { schema: s.f64, of: Number },
  String: { schema: s.string, of: same_ },
  char: { schema: s.char, of: same_ },
  "()": { schema: s.unit, of: () => undefined },
  Nothing: { schema: s.unit, of: () => undefined },
  "Vec<u8>": { schema: s.bytes, of: (json: never) => Uint8Array.from(json) },
  Level: { schema: s.u32, of: same_ },
  Point: { schema: point, of: same_ },
  Duration: {
    schema: s.struct({ secs: s.u64, nanos: s.u32 }),
    of: (json: never) => ({ ...(json as object), secs: BigInt((json as { secs: number }).secs) }),
  },
  Shape: {
    schema: s.variants({
      Empty: s.unit,
      Circle: s.u32,
      Line: s.tuple(s.i32, s.i32),
      Box: s.struct({ corner: point, name: s.option(s.string) }),
    }),
    of: variantOf,
  },
};

function variantOf(json: never): unknown {
  if (typeof json === "string") return { type: json };
  const [[type, value] = []] = Object.entries(json as object);
  return { type, value: type === "Box" ? { ...value, name: value.name ?? undefined } : value };
}

/** A type as Rust spells it. */
function typeOf(spelled: string): Type {
  const named = NAMED[spelled];
  if (named) return named;
  const [, name, inside] = /^(\w+)<(.*)>$/.exec(spelled) ?? [];
  const all = (text: string) => text.split(/, ?/).filter(Boolean).map(typeOf);
  if (name === "Option") {
    const { schema, of } = typeOf(inside as string);
    return {
      schema: s.option(schema),
      of: (json: never) => (json === null ? undefined : of(json)),
    };
  }
  if (name === "Vec") {
    const { schema, of } = typeOf(inside as string);
    return { schema: s.list(schema), of: (json: never) => (json as never[]).map(of) };
  }
  if (name === "BTreeMap" || name === "Result") {
    const [first, second] = all(inside as string) as [Type, Type];
    if (name === "Result") return { schema: s.result(first.schema, second.schema), of: variantOf };
    const entries = (json: never) => Object.entries(json) as [never, never][];
    return {
      schema: s.map(first.schema, second.schema),
      of: (json) => new Map(entries(json).map(([key, value]) => [first.of(key), second.of(value)])),
    };
  }
  const [, items] = /^\((.*)\)$/.exec(spelled) ?? [];
  if (items !== undefined) {
    return { schema: s.tuple(...all(items).map((item) => item.schema)), of: same_ };
  }
  const [, item, length] = /^\[(\w+); (\d+)\]$/.exec(spelled) ?? [];
  check(item && length, `no type ${spelled}`);
  return { schema: s.array(typeOf(item).schema, Number(length)), of: same_ };
}

export const payloadCases: Case[] = payloads.map((vector) => ({
  name: `payloads: ${vector.name}`,
  run() {
    const { schema, of } = typeOf(vector.type);
    const expected = of(vector.value as never);
    same(hexOf(s.encode(schema, expected)), hexOf(hex(vector.hex)), "encoded");
    same(s.decode(schema, hex(vector.hex)), expected, "decoded");
  },
}));

export const badPayloadCases: Case[] = badPayloads.map((vector) => ({
  name: `bad payloads: ${vector.name}`,
  run() {
    let decoded: unknown;
    try {
      decoded = s.decode(typeOf(vector.type).schema, hex(vector.hex));
    } catch {
      return;
    }
    throw new Error(`it decodes to ${decoded}`);
  },
}));
