import { describe, expect, test } from "vitest";
import { decode, encode } from "../src/index.js";
import { Named, Some, type Value, value } from "../src/value.js";
import { hex, hexOf, same } from "./assert.js";

// The examples of spec/value.md.
const EXAMPLES: [Value, string][] = [
  [null, "00"],
  [true, "01 01"],
  [42, "02 54"],
  [-1, "02 01"],
  [-300, "02 d7 04"],
  [2n ** 128n - 1n, "03 ff*18 03"],
  [-0.1, "05 9a 99 99 99 99 99 b9 bf"],
  ["Grüße", "06 07 47 72 c3 bc c3 9f 65"],
  [Uint8Array.of(0xde, 0xad), "07 02 de ad"],
  [[1, "a", null], "08 03 02 02 06 01 61 00"],
  [
    new Map<Value, Value>([
      ["k", 1],
      [2, true],
    ]),
    "09 02 06 01 6b 02 02 02 04 01 01",
  ],
  [new Some(null), "0b 00"],
  [new Named("Ping"), "0a 04 50 69 6e 67 00 00"],
  [new Named("Level", [7]), "0a 05 4c 65 76 65 6c 00 01 01 02 0e"],
  [
    new Named("Player", { name: "Ann", level: 3 }),
    "0a 06 50 6c 61 79 65 72 00 02 02 04 6e 61 6d 65 06 03 41 6e 6e 05 6c 65 76 65 6c 02 06",
  ],
  [new Named("Role", undefined, "Guest"), "0a 04 52 6f 6c 65 01 05 47 75 65 73 74 00"],
  [new Named("Role", [-1, 2], "Span"), "0a 04 52 6f 6c 65 01 04 53 70 61 6e 01 02 02 01 02 04"],
];

test.each(EXAMPLES)("%s lies in bytes as the specification shows", (example, bytes) => {
  same(hexOf(encode(value, example)), hexOf(hex(bytes)));
  same(decode(value, hex(bytes)), example);
});

test("numbers are read for what they are worth", () => {
  same(decode(value, hex("04 00 00 c0 3f")), 1.5);
  same(decode(value, hex("03 2a")), 42);
  same(decode(value, encode(value, 2n ** 53n)), 2n ** 53n);
  same(decode(value, encode(value, -0)), -0);
  same(decode(value, encode(value, Number.NaN)), Number.NaN);
  same(hexOf(encode(value, 5n)), hexOf(encode(value, 5)));
});

test("plain objects go as maps", () => {
  same(decode(value, encode(value, { a: 1 })), new Map([["a", 1]]));
  same(decode(value, encode(value, undefined)), null);
});

describe("what is no value is refused", () => {
  test.each([
    "0c",
    "01 02",
    "06 02 c3 28",
    "02 80",
    "0a 00 02",
    "02 ff*19 01",
    "00 00",
    "08 05 00",
  ])("%s", (bytes) => {
    expect(() => decode(value, hex(bytes))).toThrow();
  });

  test.each([() => {}, Symbol("no"), 2n ** 128n, -(2n ** 127n) - 1n, "\ud800"])("%o", (no) => {
    expect(() => encode(value, no as never)).toThrow();
  });
});

test("sixty-four containers are within the limit, sixty-five are not", () => {
  const deep = (levels: number): Value => (levels ? [deep(levels - 1)] : 7);
  same(decode(value, encode(value, deep(64))), deep(64));
  expect(() => encode(value, deep(65))).toThrow("too deep");
  expect(() => decode(value, hex("08 01*129 00"))).toThrow();
});

test("16,384 elements are within the limit, one more is not", () => {
  const long = (length: number): Value => Array.from({ length }, () => null);
  same((decode(value, encode(value, long(16_384))) as Value[]).length, 16_384);
  expect(() => encode(value, long(16_385))).toThrow("too many");
  expect(() => decode(value, hex("08 81 80 01 00*16385"))).toThrow("too many");
});
