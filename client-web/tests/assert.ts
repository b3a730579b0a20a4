/** What tests check with that run in a browser too. */

/** A text that is the same for values that are the same; bytes, bigints, NaN and -0 have theirs. */
export function show(value: unknown): string {
  if (value instanceof Uint8Array) return `<${hexOf(value)}>`;
  if (value instanceof Map) return `Map${show([...value])}`;
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (value instanceof Error) return `${value.name}(${value.message})`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    const name = value.constructor === Object ? "" : (value.constructor?.name ?? "");
    return `${name}{${entries.map(([key, item]) => `${key}: ${show(item)}`).join(", ")}}`;
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

export function same(actual: unknown, expected: unknown, place = ""): void {
  const [found, wanted] = [show(actual), show(expected)];
  if (found !== wanted) throw new Error(`${place}: ${brief(found)}, where ${brief(wanted)} is due`);
}

/** A text that fits a terminal. */
function brief(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}... (${text.length})` : text;
}

export function check(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

export function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Hex digits; spaces are for the eye, and `61*200` is the byte 61 two hundred times. */
export function hex(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const [digits = "", times = "1"] = word.split("*");
    check(digits.length % 2 === 0, `${word} has an odd number of digits`);
    const part = (digits.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
    for (let time = 0; time < Number(times); time++) for (const byte of part) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** A case of a list that is run here and there. */
export interface Case {
  name: string;
  run: () => void | Promise<void>;
}
